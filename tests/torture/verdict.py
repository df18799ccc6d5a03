"""Compares the store with what an undisturbed run makes of the same records."""

import contextlib

import msgpack
import psycopg2

import client
import harness
from kinds import KINDS, REPLAYED_BYTES


class Verdict:
    def __init__(self):
        self.lost = self.doubled = self.wrong = 0
        self.reasons = []

    def say(self, what, number, text):
        setattr(self, what, getattr(self, what) + number)
        self.reasons.append(f"{what}: {text}")

    @property
    def good(self):
        return self.lost == self.doubled == self.wrong == 0


def undisturbed(folder, postgres, expected):
    """Gives all records that may be in the store to `leat run`, one after the other and undisturbed,
    with a database of its own; that database's conninfo. It takes what others took only as replays."""
    postgres.query("CREATE DATABASE undisturbed")
    conninfo = postgres.conninfo.replace("dbname=leat", "dbname=undisturbed")
    with contextlib.closing(harness.Embedded(
            folder, "--store", conninfo, "--set", f"text.max_bytes={REPLAYED_BYTES}")) as run:
        for kind in {*expected.sure, *expected.perhaps}:
            records = {**expected.perhaps.get(kind, {}), **expected.sure.get(kind, {})}
            send_all(run.endpoint, kind, list(records.values()))
        assert run.program.stop() == 0
    return conninfo


def send_all(endpoint, kind, records):
    sender = client.example.Client(endpoint)
    assert sender.wait(lambda: sender.session, 30), "the undisturbed run does not answer"
    many = KINDS[kind].records_a_send
    for i in range(0, len(records), many):
        packed = [msgpack.packb(record) for record in records[i:i + many]]
        sender.send(kind, packed, packed)
    seconds = (60 + len(records) / 500) * harness.PATIENCE
    assert sender.wait(sender.all_committed, seconds), "the undisturbed run does not end"
    told = sender.committed, sender.rejected, sender.dead
    assert told == (len(records), 0, 0), f"the undisturbed run: {told} of {len(records)}"
    sender.socket.close(linger=0)


def rows(conninfo, table, key, aside):
    """{key: hash of all other columns but those aside}, and how many rows there are besides: of keys
    that are there already."""
    with contextlib.closing(psycopg2.connect(conninfo)) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT quote_ident(column_name) FROM information_schema.columns"
                           " WHERE table_name = %s AND NOT column_name = ANY(%s) ORDER BY 1",
                           (table, [*key, *aside]))
            content = ", ".join(name for name, in cursor.fetchall())
            names = ", ".join(f"{column}::text" for column in key)
            cursor.execute(f"SELECT md5(ROW({content})::text), {names} FROM {table}")
            found = {row[1:]: row[0] for row in cursor}
            return found, cursor.rowcount - len(found)


def compare_kind(verdict, kind, expected, store, reference):
    perhaps = expected.perhaps.get(kind.name, {}).keys() - expected.sure.get(kind.name, {}).keys()
    for table, (key, aside) in kind.tables.items():
        here, doubled = rows(store, table, key, aside)
        there, _ = rows(reference, table, key, aside)
        there = {k: row for k, row in there.items() if k[0] not in expected.deleted}
        if doubled:
            verdict.say("doubled", doubled, f"{table}: rows of keys that are there already")
        lost = [k for k in there if k not in here and k[0] not in perhaps]
        if lost:
            verdict.say("lost", len(lost), f"{table}: {lost[:5]}")
        extra = [k for k in here if k not in there]
        if extra:
            verdict.say("wrong", len(extra), f"{table}: nobody sent, all refused or deleted {extra[:5]}")
        other = [k for k in here if k in there and here[k] != there[k]]
        if other:
            verdict.say("wrong", len(other), f"{table}: other content in {other[:5]}")


def compare_letters(verdict, expected, store):
    """Only invalid one-way records may be dead letters, each of them once and as it was sent. One that
    was replayed is none any more, unless a late copy of its batch brings it again. {id} of all."""
    found = set()
    for name, *letter, payload in store.query("SELECT id, stage, code, payload FROM dead_letters"):
        if name in found:
            verdict.say("doubled", 1, f"dead letter {name}")
        elif expected.letters.get(name) != (*letter, bytes(payload)):
            verdict.say("wrong", 1, f"dead letter {name} of {letter}")
        found.add(name)
    return found


def compare_frames(verdict, expected, store, letters):
    """A one-way send is a batch: it has come whole, or not at all."""
    there = {"texts": {name for name, in store.query("SELECT id FROM texts")}, "dead_letters": letters}
    come = [frame for frame in expected.frames
            if any(not names.isdisjoint(frame) for names in there.values())]
    lost = [key for frame in come for key, table in frame.items() if key not in there[table]]
    if lost:
        verdict.say("lost", len(lost), f"parts of one-way sends: {lost[:5]}")
    return len(come)


def compare(folder, postgres, expected):
    verdict = Verdict()
    for text in expected.wrong:
        # More told than accepted is a record counted twice, but what was told is not the store.
        verdict.say("wrong", 1, text)
    reference = undisturbed(folder, postgres, expected)
    for name in {*expected.sure, *expected.perhaps}:
        compare_kind(verdict, KINDS[name], expected, postgres.conninfo, reference)
    letters = compare_letters(verdict, expected, postgres)
    verdict.dead = len(letters)
    verdict.frames = compare_frames(verdict, expected, postgres, letters)
    return verdict
