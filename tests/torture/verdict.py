"""Compares the store with what an undisturbed run makes of the same records."""

import contextlib
import json

import psycopg2

import harness
from kinds import KINDS


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
    with a database of its own; that database's conninfo."""
    postgres.query("CREATE DATABASE undisturbed")
    conninfo = postgres.conninfo.replace("dbname=leat", "dbname=undisturbed")
    with contextlib.closing(harness.Embedded(folder, "--store", conninfo)) as run:
        for kind in {*expected.sure, *expected.perhaps}:
            path = folder / f"{kind}.ndjson"
            records = {**expected.perhaps.get(kind, {}), **expected.sure.get(kind, {})}
            path.write_text("".join(json.dumps(r) + "\n" for r in records.values()))
            done = harness.leat("send", "--to", run.endpoint, "--kind", kind, "--json", path)
            told = json.loads(done.stdout.strip().splitlines()[-1])
            assert told["committed"] == len(records), f"the undisturbed run: {told}\n{done.stderr}"
        assert run.program.stop() == 0
    return conninfo


def rows(conninfo, table, key, aside):
    """{key: content}, and how many rows there are."""
    columns = ", ".join(f"{column}::text" for column in key)
    with contextlib.closing(psycopg2.connect(conninfo)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT md5((to_jsonb(t) - %s::text[])::text), {columns} FROM {table} t",
                           (list(aside),))
            found = cursor.fetchall()
    return {row[1:]: row[0] for row in found}, len(found)


def compare_kind(verdict, kind, expected, store, reference):
    perhaps = expected.perhaps.get(kind.name, {}).keys() - expected.sure.get(kind.name, {}).keys()
    for table, (key, aside) in kind.tables.items():
        here, count = rows(store, table, key, aside)
        there, _ = rows(reference, table, key, aside)
        if count != len(here):
            verdict.say("doubled", count - len(here), f"{table}: rows of one key")
        lost = [k for k in there if k not in here and k[0] not in perhaps]
        if lost:
            verdict.say("lost", len(lost), f"{table}: {lost[:5]}")
        extra = [k for k in here if k not in there]
        if extra:
            verdict.say("wrong", len(extra), f"{table}: nobody sent or all refused {extra[:5]}")
        other = [k for k in here if k in there and here[k] != there[k]]
        if other:
            verdict.say("wrong", len(other), f"{table}: other content in {other[:5]}")


def compare_dead(verdict, expected, postgres):
    """Only invalid one-way records may be dead letters, each of them once."""
    seen = set()
    for name, code in postgres.query("SELECT id, code FROM dead_letters"):
        if name in seen:
            verdict.say("doubled", 1, f"dead letter {name}")
        elif expected.dead.get(name) != code:
            verdict.say("wrong", 1, f"dead letter {name} of code {code}")
        seen.add(name)
    return len(seen)


def compare(folder, postgres, expected):
    verdict = Verdict()
    for text in expected.wrong:
        # More told than accepted is a record counted twice, but what was told is not the store.
        verdict.say("wrong", 1, text)
    reference = undisturbed(folder, postgres, expected)
    for name in {*expected.sure, *expected.perhaps}:
        compare_kind(verdict, KINDS[name], expected, postgres.conninfo, reference)
    verdict.dead = compare_dead(verdict, expected, postgres)
    return verdict
