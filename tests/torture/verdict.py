"""Compares the store with what an undisturbed run makes of the same records."""

import contextlib

import msgpack
import psycopg2

import client
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
    """{key: hash of all other columns but those aside}, and how many rows there are."""
    with contextlib.closing(psycopg2.connect(conninfo)) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT quote_ident(column_name) FROM information_schema.columns"
                           " WHERE table_name = %s AND NOT column_name = ANY(%s) ORDER BY 1",
                           (table, [*key, *aside]))
            content = ", ".join(name for name, in cursor.fetchall())
            names = ", ".join(f"{column}::text" for column in key)
            cursor.execute(f"SELECT md5(ROW({content})::text), {names} FROM {table}")
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
