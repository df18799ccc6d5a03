"""Kinds of records that the torture sends: one class each.

Everything is a function of the seed, so a client that is started again makes the very sends that
the one before it had made, and who compares at the end needs no copy of what was sent.
"""

import random

WORDS = (
    "the a of and to in we they you market budget hospital school election storm vaccine football "
    "minister prices farmers music server road river great awful wonderful terrible love hate fear "
    "thanks sorry angry happy sad afraid proud disgusting surprise hope never always really not "
    "Straße café naïve мир 世界 नमस्ते 😀 😡 :-) #news @all https://example.org/x 3.14"
).split()
REPLAYED_BYTES = 100_000  # of texts that are taken as replays; others: text.max_bytes as it is
SOURCES = ["presidency_statement", "national_media", "citizen_post", "rss", "twitter", "blog", None]


class Text:
    name = "text"
    # Table: its key, and what depends on when and how often a record was sent.
    tables = {"texts": (("id",), ("ingested_at", "version", "origin", "seq"))}
    records_a_send = 60

    @staticmethod
    def key(owner, number):
        return f"{owner}-{number}"

    @staticmethod
    def record(chance, key):
        """A valid record of this key."""
        size = chance.choices((1, 12, 60, 900, 9000), (5, 60, 30, 4, 0.3))[0]
        text = " ".join(chance.choices(WORDS, k=chance.randint(1, size)))[:60000]
        if chance.random() < 0.2:  # often said: the cache has it
            text = f"we say {chance.choice(WORDS)} and {chance.choice(WORDS)}"
        record = {"id": key, "text": text}
        if chance.random() < 0.5:
            record.update(
                source_type=chance.choice(SOURCES), platform=chance.choice(("web", "app")),
                verified=chance.random() < 0.3, reach=chance.randrange(1 << chance.randrange(1, 40)),
                published_at=chance.randrange(0, 2_000_000_000_000_000),
                lang=chance.choice(("en", "de", "hi")), url="https://example.org/" + key,
                author=chance.choice(WORDS))
        return record

    @staticmethod
    def invalid(chance, key):
        """A record that must be refused; `code` is why."""
        return chance.choice((
            ({"id": key}, "text_missing"),
            ({"id": key, "text": ""}, "text_empty"),
            ({"id": key, "text": 7}, "text_type"),
            ({"id": key, "text": "x\0y"}, "nul"),
            ({"id": key, "text": "fine", "reach": -1}, "reach_negative"),
            ({"id": key, "text": "x" * 70000}, "text_too_long"),
        ))


class Series:
    name = "series"
    tables = {
        "features_idx": (("series", "ts"), ("version", "origin")),
        "features_bqx": (("series", "ts"), ("version", "origin")),
    }
    records_a_send = 3
    MINUTE = 60_000_000

    @staticmethod
    def key(owner, number):
        """A block: ten of them make a series."""
        return f"{owner}-{number // 10}/{number % 10}"

    @classmethod
    def record(cls, chance, key):
        series, block = key.split("/")
        rows = 40
        first = 1_700_000_000_000_000 + int(block) * 100 * cls.MINUTE
        close, closes = 1.0 + chance.random(), []
        for _ in range(rows):
            close *= 1 + chance.gauss(0, 1e-4)
            closes.append(close)
        return {"series": series, "start": True, "base": closes[0], "close": closes,
                "ts": [first + i * cls.MINUTE for i in range(rows)]}

    @classmethod
    def invalid(cls, chance, key):
        record = cls.record(chance, key)
        which = chance.randrange(3)
        if which == 0:
            del record["ts"]
            return record, "ts_missing"
        if which == 1:
            record["ts"][5] = record["ts"][4]
            return record, "ts_not_increasing"
        record["close"][7] = float("nan")
        return record, "close_not_finite"


KINDS = {kind.name: kind for kind in (Text, Series)}


class Load:
    """What one client sends: send n is a function of the seed, the client and n."""

    AGAIN = 0.25  # of the records have a key that an earlier one had
    INVALID = 0.02

    def __init__(self, seed, client, kind):
        self.seed, self.client, self.kind = seed, client, KINDS[kind]

    def send(self, n, invalid=INVALID, again=AGAIN):
        """[(key, record, code)] of send n, from 1; code None: the record is valid."""
        chance = random.Random(f"{self.seed}/{self.client}/{n}")
        kind, most = self.kind, self.kind.records_a_send
        count = 1 if chance.random() < 0.1 else chance.randint(1, 2 * most - 1)
        made = []
        for i in range(count):
            number = n * 2 * most + i
            if chance.random() < invalid:
                key = kind.key(self.client + "-bad", number)
                made.append((key, *kind.invalid(chance, key)))
                continue
            if chance.random() < again:
                # Mostly one of the last, which is perhaps still on its way.
                reach = number if chance.random() < 0.1 else min(number, 20 * most)
                number -= chance.randrange(reach)
            key = kind.key(self.client, number)
            made.append((key, kind.record(chance, key), None))
        return made
