"""The cases that broke others. Each is a promise with a name; these are the ones that take whole
programs. Where the others are:

backlog larger than memory      unit/test_journal: a_backlog_larger_than_memory_streams_flat;
                                test_pipeline: a_backlog_waits_in_the_journal_in_flat_memory
a record that crashes or hangs  unit/test_child; test_pipeline: a_record_that_crashes_the_work_…
                                (`leat run`); here for separate processes, and blocks
                                of series for both
journal disk full, free again   unit/test_journal: a_full_disk_is_told_…, a_journal_that_filled_its_…;
                                unit/test_ingest: a_disk_without_room_is_busy_…; here as a whole
journal of an older program     here, from tests/data/journal
journal damaged or foreign      unit/test_journal: any_flipped_bit_…, a_file_that_was_cut_off_…,
                                what_is_not_a_journal_…, a_state_that_is_not_right_…; here: what it says
numbers near 2^32, end of int64 unit/test_journal: seqs_pass_2_32_in_order,
                                seqs_that_are_used_up_…, versions_that_are_used_up_are_refused;
                                here in PostgreSQL
two persists, the same batch    unit/test_postgres: two_persists_with_the_same_batches_…; here as well
a clock stepped backwards       unit/test_journal: versions_never_repeat_when_the_clock_steps_back
versions of equal clocks        unit/test_store: of_equal_versions_the_larger_origin_wins
stop of ingest itself           unit/test_flights: a_stop_of_the_process_itself_sends_nothing_again
an outage without a storm       unit/test_flights: an_outage_causes_no_storm; here under load
a dead letter replayed late     unit/test_store: a_replay_that_is_stored_…;
                                test_cli: a_replay_never_overwrites_what_came_later
an address of another service   unit/test_peers: a_foreign_socket_is_got_over; here for a stage

Where the case is of minutes (PostgreSQL down for five, acks cut for one), seconds are enough: what
decides is that they are longer than every pause and timeout involved, so those are set shorter.
With TEST_OUTAGE=300 in the environment they last so many seconds, at the default settings.
"""

import contextlib
import gzip
import itertools
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import threading
import time

import msgpack
import psycopg2
import pytest
import zmq

import harness
import test_features
from harness import count, counter, set_store_down
OUTAGE = int(os.environ.get("TEST_OUTAGE", 0))  # 0: the short form
SANITIZED = harness.BUILD.name.endswith("san")


def dead(cluster):
    return cluster.query("SELECT count(*) FROM dead_letters")[0][0]


def sent_again(ingest):
    """Batches that went out again, and how many of them were probes: as of one moment, in which
    none goes out."""
    def told():
        lines = harness.http(ingest.http_address, "/metrics")[1].splitlines()
        return [sum(float(line.rsplit(" ", 1)[1]) for line in lines
                    if line.startswith(f"leat_ingest_batches_{what}_total"))
                for what in ("resent", "probed")]

    return harness.until("two answers are alike", lambda: (now := told()) == told() and now)


class Tap:
    """Stands where persist is expected, and has what would have gone to it: (head, items, bytes of
    the items)."""

    def __init__(self):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.PULL)
        self.endpoint = f"tcp://127.0.0.1:{self.socket.bind_to_random_port('tcp://127.0.0.1')}"

    def read(self):
        """One frame: (head, bytes of the items); None when there is none for a second."""
        if not self.socket.poll(1000):
            return None
        frame = self.socket.recv()
        reader = msgpack.Unpacker(None, max_buffer_size=1 << 26)
        reader.feed(frame)
        return reader.unpack(), frame[reader.tell():]

    def batches(self, records):
        """All of them once; they hold `records` records."""
        found = {}
        deadline = time.monotonic() + 60 * harness.PATIENCE
        while sum(head["count"] for head, _ in found.values()) < records:
            assert time.monotonic() < deadline, f"not all of {records} records came"
            batch = self.read()
            if batch:
                found[batch[0]["seq"]] = batch
        return list(found.values())

    def push(self, cluster, batches, instance=0):
        """Gives batches to persist itself."""
        link = self.context.socket(zmq.PUSH)
        link.setsockopt(zmq.LINGER, 30000)
        link.connect(f"tcp://127.0.0.1:{cluster.ports['persist'][instance][0]}")
        for head, items in batches:
            link.send(msgpack.packb(head) + items)
        link.close()

    def close(self):
        self.context.destroy(linger=1000)


@pytest.fixture
def tap():
    with contextlib.closing(Tap()) as made:
        yield made


# --- records and numbers ------------------------------------------------------------------------


def test_one_record_larger_than_any_batch_budget(make_cluster, folder):
    cluster = make_cluster(settings={
        "ingest.window_initial": "1KB", "ingest.window_bytes": "1KB", "ingest.commit_bytes": "64KB",
        "ingest.credit": "1KB", "persist.bytes": "1KB", "persist.rows": 1,
        "journal.max_bytes": "64KB"})
    path = folder / "large.ndjson"
    with open(path, "w") as out:
        for i in range(4):
            out.write(json.dumps({"id": f"small{i}", "text": "small"}) + "\n")
            out.write(json.dumps({"id": f"large{i}", "text": f"good {i} " * 8000}) + "\n")
    assert harness.send(cluster.endpoint, path)["committed"] == 8
    assert count(cluster) == (8, 8)


def test_numbers_near_2_32_and_at_the_end_of_int64(make_cluster, folder, tap):
    cluster = make_cluster(settings={"persist.address": tap.endpoint})
    harness.send(cluster.endpoint, harness.texts_file(folder / "a.ndjson", range(6)), wait="accepted")
    (head, items), = tap.batches(6)
    for seq, stamp in ((2**32 - 1, 2**62), (2**32, 2**62 + 6), (2**32 + 1, 2**62 + 12),
                       (2**63 - 1, 2**63 - 7)):
        tap.push(cluster, [({**head, "seq": seq, "stamp": stamp}, items)])
        harness.until(f"batch {seq} is stored", lambda: cluster.query(
            "SELECT min(version) FROM texts")[0][0] == stamp)
        assert cluster.query("SELECT seq, min(version), max(version), count(*) FROM texts"
                             " GROUP BY seq") == [(seq, stamp, stamp + 5, 6)]
    # What no column can hold is refused, and nothing suffers. Each would be six rows more.
    too_large = ((2**63, 2**62), (2**63 + 5, 2**62), (2**64 - 1, 2**62), (9, 2**63 - 3),
                 (10, 2**64 - 1))
    tap.push(cluster, [({**head, "seq": seq, "stamp": stamp}, items.replace(b"\xa2t", b"\xa2%d" % i))
                       for i, (seq, stamp) in enumerate(too_large)])
    harness.until("they are refused", lambda: counter(
        cluster["persist"], "leat_stage_dropped_total", reason="undecodable") == len(too_large))
    tap.push(cluster, [(head, items.replace(b"t0", b"x0"))])
    harness.until("it goes on", lambda: cluster.query("SELECT count(*) FROM texts WHERE id = 'x0'")
                  == [(1,)])
    assert count(cluster) == (7, 7)
    assert cluster["persist"].process.poll() is None


def test_a_bad_byte_inside_a_10000_row_copy(make_cluster, tap):
    n = 10000
    cluster = make_cluster(settings={"persist.address": tap.endpoint, "ingest.send_records": n})
    with harness.client_of(cluster.endpoint) as client:
        client.send("text", harness.packed((f"t{i}" for i in range(n)), "it says BADBYTE and more"), list(range(n)))
        assert client.wait(client.all_answered, 30 * harness.PATIENCE)
        (head, items), = tap.batches(n)
        middle = len(items) // 2
        items = items[:middle] + items[middle:].replace(b"BADBYTE", b"BAD\x00YTE", 1)
        tap.push(cluster, [(head, items.replace(b"BADBYTE", b"BAD\xffYTE", 1))])
        assert client.wait(client.all_committed, 60 * harness.PATIENCE)
        assert (client.accepted, client.committed, client.dead) == (n, n - 2, 2)
    assert count(cluster) == (n - 2, n - 2) and dead(cluster) == 2
    assert cluster.query("SELECT count(*) FROM dead_letters WHERE stage = 'persist'") == [(2,)]


BY_A_CHECK = "ALTER TABLE texts ADD CONSTRAINT lawful CHECK (id NOT IN ('t17', 't7777'))"
AT_COMMIT = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '22023'; END $$;
    CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON texts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        WHEN (new.id IN ('t17', 't7777')) EXECUTE FUNCTION refuse()"""


@pytest.mark.parametrize("law, code, transactions", [
    # Each is named by its line: its dead letter, and at last the rest.
    pytest.param(BY_A_CHECK, "23514", 3, id="by a check"),
    # Each is found by 14 halvings at most, which leave a good half each.
    pytest.param(AT_COMMIT, "22023", 2 * 14 + 2, id="at the commit"),
])
def test_the_server_refuses_2_rows_of_a_10000_row_batch(make_cluster, tap, law, code, transactions):
    n = 10000
    cluster = make_cluster(settings={"persist.address": tap.endpoint, "ingest.send_records": n})
    cluster.query(law)
    with harness.client_of(cluster.endpoint) as client:
        client.send("text", harness.packed(f"t{i}" for i in range(n)), list(range(n)))
        assert client.wait(client.all_answered, 30 * harness.PATIENCE)
        batch, = tap.batches(n)
        tap.push(cluster, [batch])  # once: what ingest sends again stays with the tap
        assert client.wait(client.all_committed, 60 * harness.PATIENCE)
        assert (client.accepted, client.committed, client.dead) == (n, n - 2, 2)
    assert count(cluster) == (n - 2, n - 2)
    assert cluster.query("SELECT id, stage, code FROM dead_letters ORDER BY id") == [
        ("t17", "persist", code), ("t7777", "persist", code)]
    persist = cluster["persist"]
    harness.until("both are counted", lambda: counter(
        persist, "leat_persist_refused_rows_total") == 2)
    assert counter(persist, "leat_persist_transactions_total") <= transactions


def test_two_persists_are_given_the_same_batch(make_cluster, tap):
    n = 3000
    cluster = make_cluster(persist=2, settings={"persist.address": tap.endpoint,
                                                "persist.lock_timeout": "60s"})
    with harness.client_of(cluster.endpoint) as client:
        client.send("text", harness.packed(f"t{i}" for i in range(n)), list(range(n)))
        assert client.wait(client.all_answered, 30 * harness.PATIENCE)
        batches = tap.batches(n)
        both = [threading.Thread(target=tap_push, args=(cluster, batches, i)) for i in range(2)]
        for one in both:
            one.start()
        for one in both:
            one.join()
        assert client.wait(client.all_committed, 60 * harness.PATIENCE)
        assert client.committed == n
    stored = cluster.query("SELECT id, version, origin, seq FROM texts ORDER BY id")
    harness.until("both are done", lambda: all(counter(
        cluster["persist", i], "leat_persist_records_total", result="committed") >= n
        for i in range(2)))
    assert cluster.query("SELECT id, version, origin, seq FROM texts ORDER BY id") == stored
    assert count(cluster) == (n, n) and dead(cluster) == 0
    assert sum(counter(cluster["persist", i], "leat_persist_unchanged_rows_total") for i in range(2)) == n


def tap_push(cluster, batches, instance):
    """Tap.push with sockets of its own, for another thread."""
    with contextlib.closing(Tap()) as own:
        own.push(cluster, batches, instance)


@pytest.mark.skipif(not SANITIZED, reason="faults can be injected in the sanitized build only")
def test_a_record_that_crashes_or_hangs_the_work_every_time(make_cluster, folder):
    cluster = make_cluster(classify=2, settings={
        "test.crash_on": "POISON", "test.hang_on": "TARPIT", "child.timeout": "8s"})
    n, bad = 2000, {300: "POISON", 301: "POISON", 900: "TARPIT", 1500: "POISON"}
    path = folder / "poison.ndjson"
    with open(path, "w") as out:
        for i in range(n):
            out.write(json.dumps({"id": f"t{i}", "text": f"{bad.get(i, 'fine')} {i}"}) + "\n")
    sender = harness.send_in_background(cluster.endpoint, path)
    harness.until("the first poison is found", lambda: dead(cluster) > 0)
    # Nobody else is disturbed.
    other = harness.texts_file(folder / "other.ndjson", range(n, n + 500))
    assert harness.send(cluster.endpoint, other)["committed"] == 500
    out, _ = sender.communicate(timeout=60 * harness.PATIENCE)
    told = json.loads(out.strip().splitlines()[-1])
    assert (told["accepted"], told["committed"], told["dead"]) == (n, n - 4, 4)
    found = dict(cluster.query("SELECT id, code FROM dead_letters"))
    assert found == {"t300": "crashed", "t301": "crashed", "t900": "timeout", "t1500": "crashed"}
    assert count(cluster) == (n + 496, n + 496)


@pytest.mark.skipif(not SANITIZED, reason="faults can be injected in the sanitized build only")
@pytest.mark.parametrize("processes", ["one", "separate"])
def test_a_block_that_crashes_or_hangs_the_work_every_time(request, processes):
    faults = {"test.crash_on": "POISON", "test.hang_on": "TARPIT", "child.timeout": "8s"}
    if processes == "separate":
        running = request.getfixturevalue("make_cluster")(regress=2, settings=faults)
    else:
        running = request.getfixturevalue("make_embedded")(
            *(word for name, value in faults.items() for word in ("--set", f"{name}={value}")))
    names = ["A", "POISON", "B", "C", "TARPIT", "D"]
    rows = test_features.sample("EURXAU")[:300]
    client, refused = test_features.send(
        running.endpoint, [block for name in names for block in test_features.blocks(name, rows, len(rows))],
        at_once=len(names))
    assert (client.committed, client.dead, refused) == (4, 2, [])
    assert sorted(running.query("SELECT id, stage, code FROM dead_letters")) == [
        ("POISON", "regress", "crashed"), ("TARPIT", "regress", "timeout")]
    for table in ("features_idx", "features_bqx"):
        assert sorted(running.query(f"SELECT series, count(*) FROM {table} GROUP BY series")) == [
            (name, len(rows)) for name in "ABCD"]


# --- the journal --------------------------------------------------------------------------------


def test_the_disk_of_the_journal_is_full_and_then_free_again(make_cluster, folder):
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk],
                      stderr=subprocess.DEVNULL).returncode:
        pytest.skip("a tmpfs may not be mounted here")
    try:
        cluster = make_cluster(settings={"journal.dir": disk / "journal",
                                         "journal.reserve_bytes": "1MB"})
        ingest, persist = cluster["ingest"], cluster["persist"].process
        persist.send_signal(signal.SIGSTOP)
        with open(disk / "ballast", "wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(4096))
        n = 60000 // harness.PATIENCE
        path = harness.texts_file(folder / "load.ndjson", range(n), "filler " * 60 + "{i}")
        sender = harness.send_in_background(cluster.endpoint, path)
        harness.until("ingest is not ready", lambda: harness.http(
            ingest.http_address, "/readyz")[0] == 503)
        harness.until("sends are answered busy", lambda: counter(
            ingest, "leat_ingest_sends_busy_total") > 0)
        assert harness.http(ingest.http_address, "/healthz")[0] == 200
        (disk / "ballast").unlink()
        persist.send_signal(signal.SIGCONT)
        assert harness.finish(sender)["committed"] == n
        assert count(cluster) == (n, n) and dead(cluster) == 0
        assert harness.http(ingest.http_address, "/readyz")[0] == 200
        assert ingest.stop() == 0
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


ADVICE = {
    "cut off": "put back a copy of it, or move the folder away to begin with an empty journal",
    "another version": "open it with the program that wrote it, or name another folder",
    "not a journal": "name another folder, or, if it was one, put back a copy of it",
}


@pytest.mark.parametrize("damage", ADVICE)
def test_a_journal_that_is_not_right_is_refused_and_left_alone(make_embedded, folder, damage):
    embedded = make_embedded()
    harness.send(embedded.endpoint, harness.texts_file(folder / "a.ndjson", range(50)))
    assert embedded.program.stop() == 0
    file = next(p for p in (embedded.data / "journal").iterdir()
                if p.is_file() and "lock" not in p.name)
    whole = file.read_bytes()
    if damage == "cut off":
        broken = whole[: 3 * 4096]
    elif damage == "another version":
        # LMDB's own version, in both meta pages: little-endian 1 behind the magic number.
        broken = whole.replace(b"\xde\xc0\xef\xbe\x01\0\0\0", b"\xde\xc0\xef\xbe\x63\0\0\0")
    else:
        broken = b"something else\n" * 1000
    assert broken != whole
    file.write_bytes(broken)
    done = harness.leat("run", "--data", embedded.data, "--listen", embedded.endpoint, timeout=30)
    assert done.returncode == 1
    assert str(file) in done.stderr
    assert ADVICE[damage] in done.stderr
    assert file.read_bytes() == broken
    file.write_bytes(whole)
    embedded.start()
    assert embedded.program.stop() == 0


def test_a_journal_that_an_older_program_wrote_is_read(make_embedded, folder):
    old = harness.ROOT / "tests" / "data" / "journal" / "format-1.mdb.gz"
    (folder / "data" / "journal").mkdir(parents=True)
    (folder / "data" / "journal" / "journal.mdb").write_bytes(gzip.decompress(old.read_bytes()))
    embedded = make_embedded()
    harness.until("all is stored", lambda: counter(
        embedded.program, "leat_ingest_batches_acknowledged_total") == 3)
    assert embedded.query("SELECT id, text, author, reach, published_at, seq, version FROM texts"
                          " ORDER BY id") == [
        ("mill", "What a wonderful day at the water mill!", "Rosa Teixeira", 1200,
         "2026-03-29T14:29:13.000000Z", 1, 7),
        ("race", "The race is clean again.", None, 0, None, 3, 1795211045036624),
        ("weir", "Schade, das Wehr ist schon wieder kaputt. \U0001f622", None, 0, None, 1,
         1795211044908376)]
    assert embedded.query("SELECT series, count(*), min(close), max(ts) FROM features_idx") == [
        ("FLOW", 50, 100.25, "2026-01-01T00:59:00.000000Z")]
    assert embedded.query("SELECT code, seq FROM dead_letters") == [("record_not_map", 3)]
    for name, committed in (("miller", 2), ("surveyor", 1)):
        with harness.client_of(embedded.endpoint, name) as client:
            assert (client.last, client.committed) == (1, committed)
    assert embedded.program.stop() == 0


# --- PostgreSQL goes and comes back -------------------------------------------------------------


@pytest.fixture
def own_cluster(folder, own_postgres, redis):
    """make_cluster with a PostgreSQL that a test may hurt."""
    with contextlib.ExitStack() as stack:
        yield lambda **more: stack.enter_context(
            contextlib.closing(harness.Cluster(folder, own_postgres, redis, **more)))


def test_postgresql_is_gone_while_draining(own_cluster, own_postgres, folder):
    cluster = own_cluster(settings={"drain.timeout": "2s"})
    n = 3000
    cluster["persist"].process.send_signal(signal.SIGSTOP)
    path = harness.texts_file(folder / "a.ndjson", range(n))
    assert harness.send(cluster.endpoint, path, wait="accepted")["accepted"] == n
    own_postgres.crash()
    cluster["persist"].process.send_signal(signal.SIGCONT)
    harness.until("persist has taken something and cannot store it", lambda: counter(
        cluster["persist"], "leat_persist_away_total") > 0)
    assert cluster["ingest"].stop() == 3
    assert cluster["cache"].stop() in (0, 3)
    assert cluster["classify"].stop() in (0, 3)
    assert cluster["persist"].stop() == 3
    own_postgres.start()
    del cluster.settings["drain.timeout"]
    for stage in ("persist", "classify", "cache", "ingest"):
        cluster.start(stage)
    cluster.wait_ready()
    harness.until("the work is finished", lambda: count(cluster) == (n, n))
    harness.until("the journal is empty", lambda: counter(
        cluster["ingest"], "leat_ingest_journal_batches") == 0)
    for stage in ("ingest", "cache", "classify", "persist"):
        assert cluster[stage].stop() == 0


def test_settings_are_read_again_with_the_store_down(make_embedded, own_postgres, folder):
    # Only full transactions are written, as nothing else is waited for so long.
    waits = "".join(f"persist.{wait} = 60s\n" for wait in ("wait", "wait_busy", "wait_most"))
    config = folder / "leat.conf"
    config.write_text(waits + "persist.rows = 1000\n")
    embedded = make_embedded("--store", own_postgres.conninfo, "--config", config)
    program = embedded.program

    with harness.client_of(embedded.endpoint) as client:
        def send(prefix, records):
            for i in range(1000 // records):
                client.send("text", harness.packed(f"{prefix}{i}-{j}" for j in range(records)), list(range(records)))

        def all_committed():
            return client.wait(client.all_committed, 30 * harness.PATIENCE)

        def transactions():
            return counter(program, "leat_persist_transactions_total")

        send("a", 1000)
        assert all_committed()
        own_postgres.crash()
        send("b", 1000)
        harness.until("the store is away",
                      lambda: harness.http(program.http_address, "/readyz")[0] == 503)
        config.write_text(waits + "persist.rows = 10\n")
        program.process.send_signal(signal.SIGHUP)
        harness.until("the settings were read", lambda: "event=reloaded" in program.log())
        own_postgres.start()
        assert all_committed()
        before = transactions()
        assert before < 100
        send("c", 10)
        assert all_committed()
        harness.until("each send was a transaction", lambda: transactions() >= before + 100)
    assert "reload_refused" not in program.log()
    assert count(own_postgres) == (3000, 3000)
    assert program.stop() == 0


def test_postgresql_is_down_for_long_under_load(own_cluster, own_postgres):
    # Eight seconds instead of five minutes, with pauses of at most one second instead of ten.
    settings = {} if OUTAGE else {"persist.retry_most": "1s"}
    cluster = own_cluster(persist=2, classify=2, settings=settings)
    ingest = cluster["ingest"]

    def only_probes():
        """Two in a row. What came back last has told ingest what was lost before it, and that goes out
        first."""
        nonlocal resent, probes
        now = sent_again(ingest)
        if now[0] - now[1] != resent - probes:
            resent, probes = now
        return now[1] >= probes + 2

    with harness.load(cluster, "much is said in text {i} " * 6) as load:
        set_store_down(cluster, own_postgres)
        resent, probes = sent_again(ingest)
        harness.until("only probes go out again", only_probes, 150)  # their pauses are up to 30 s
        resent, probes = sent_again(ingest)
        time.sleep(OUTAGE or 6)  # the outage itself
        # One batch goes out again at a time, and that seldom.
        now_resent, now_probes = sent_again(ingest)
        assert now_resent - resent == now_probes - probes <= 4 + OUTAGE / 20
        assert cluster["persist"].process.poll() is None
        own_postgres.start()
    assert count(cluster) == (load.n, load.n) and dead(cluster) == 0
    total = counter(ingest, "leat_ingest_batches_dispatched_total")
    assert counter(ingest, "leat_ingest_batches_resent_total") < max(total / 2, 20)


@pytest.mark.parametrize("first", ["primary", "standby"])
def test_postgresql_fails_over_to_a_hot_standby(own_cluster, own_postgres, standby, first):
    """In whichever order the two are named: a former primary comes back as a standby."""
    hosts = [own_postgres.folder, standby.folder]
    if first == "standby":
        hosts.reverse()
    url = f"host={hosts[0]},{hosts[1]} user=leat dbname=leat"
    cluster = own_cluster(settings={"store.url": url, "persist.retry_most": "1s"})
    harness.leat("delete", "--store", url, "--series", "NONE", "--yes", "--set",
                 f"ingest.http={cluster['ingest'].http_address}", "--set", "run.http=", check=True)

    def meets_the_standby(persist, times):
        harness.until("persist meets the standby", lambda: len(re.findall(
            "event=store_away .*session is read-only", persist.log())) >= times)
        harness.until("it is not ready", lambda: harness.http(persist.http_address, "/readyz") == (
            503, "persist: not ready: the store is away\n"))

    with harness.load(cluster) as load:
        own_postgres.crash()
        meets_the_standby(cluster["persist"], 1)
        assert cluster["persist"].stop() == 3
        meets_the_standby(cluster.start("persist"), 3)  # one that starts now waits as well
        standby.promote()
    assert count(standby) == (load.n, load.n) and dead(standby) == 0


@pytest.mark.parametrize("back", ["first", "second"])
def test_of_several_hosts_some_say_nothing(own_cluster, own_postgres, folder, wires, back):
    """As a machine without power, or a stopped one: nothing fails, and nothing comes."""
    port = harness.free_port()
    own_postgres.settings = ("listen_addresses=127.0.0.1", f"port={port}")
    own_postgres.crash()
    own_postgres.start()
    own_postgres.conninfo += f" port={port}"
    first, second = (wires.wire(f"tcp://127.0.0.1:{port}") for _ in range(2))
    first.hold()
    ports = ",".join(wire.endpoint.rsplit(":", 1)[1] for wire in (first, second))
    url = f"host=127.0.0.1,127.0.0.1 port={ports} user=leat dbname=leat connect_timeout=1"
    cluster = own_cluster(settings={"store.url": url, "persist.retry_most": "1s"})
    n = 1000

    def sends(i):
        return harness.send_in_background(cluster.endpoint, harness.texts_file(
            folder / f"{i}.ndjson", range(i * n, i * n + n)))

    assert harness.finish(sends(0))["committed"] == n
    harness.leat("delete", "--store", url, "--series", "NONE", "--yes", "--set",
                 f"ingest.http={cluster['ingest'].http_address}", "--set", "run.http=", check=True)

    second.hold()
    second.cut()
    sender = sends(1)
    silence = "; ".join(f"no answer in time from the server at 127.0.0.1, port {port}"
                        for port in ports.split(","))
    harness.until("neither says anything", lambda: silence in cluster["persist"].log())
    harness.until("persist is not ready",
                  lambda: harness.http(cluster["persist"].http_address, "/readyz")[0] == 503)
    {"first": first, "second": second}[back].release()
    assert harness.finish(sender)["committed"] == n
    assert count(cluster) == (2 * n, 2 * n) and dead(cluster) == 0


def test_postgresql_takes_no_writes_for_a_while(own_cluster, own_postgres):
    """It cuts no session: the one that is there meets it when it writes, the next when it begins."""
    cluster = own_cluster(settings={"persist.retry_most": "1s", "persist.sessions": 1})
    persist = cluster["persist"]

    def read_only(value):  # ALTER SYSTEM itself is allowed there
        own_postgres.query(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        own_postgres.query("SELECT pg_reload_conf()")

    with harness.load(cluster) as load:
        read_only("on")
        harness.until("persist is not ready",
                      lambda: harness.http(persist.http_address, "/readyz")[0] == 503)
        assert "25006: cannot execute" in persist.log()
        harness.until("a session was refused", lambda: "session is read-only" in persist.log())
        read_only("off")
    assert count(cluster) == (load.n, load.n) and dead(cluster) == 0


def server_sessions(program):
    """The PostgreSQL processes that this persist talks to."""
    return [int(pid) for pid in re.findall(r"event=store_opened .*server_pid=(\d+)", program.log())]


# Every tenth row of a COPY waits while a test holds the lock; those before it are in the table.
HOLDS_ROWS = """
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN new; END $$;
    CREATE TRIGGER hold BEFORE INSERT ON texts FOR EACH ROW WHEN (new.id LIKE '%9')
        EXECUTE FUNCTION hold()"""


def test_a_persist_is_stopped_in_mid_copy_and_holds_keys_that_another_needs(make_cluster, postgres):
    cluster = make_cluster(persist=2, settings={
        "persist.lock_timeout": "60s", "persist.blocker_age": "2s"})
    cluster.query(HOLDS_ROWS)
    stopped, other = cluster["persist", 1], cluster["persist", 0]

    def ended():
        return counter(other, "leat_persist_blockers_ended_total")

    def all_want_more():
        return cluster.query("SELECT bool_and(wait_event IS NOT DISTINCT FROM 'ClientRead')"
                             " FROM pg_stat_activity WHERE pid = ANY(%s)",
                             server_sessions(stopped))[0][0]

    def copies_with_rows(event):
        return cluster.query(
            "SELECT pid FROM pg_stat_progress_copy JOIN pg_stat_activity USING (pid)"
            " WHERE relid = 'texts'::regclass AND tuples_processed > 0 AND wait_event = %s"
            " AND pid = ANY(%s)", event, server_sessions(stopped))

    def stands_still():
        tasks = pathlib.Path(f"/proc/{stopped.pid}/task").iterdir()
        return all(harness.state(f"{stopped.pid}/task/{task.name}") == "T" for task in tasks)

    def stored(n):
        return cluster.query("SELECT id, version FROM texts WHERE substring(id from 2)::int < %s ORDER BY id", n)

    # One send is more than a connection holds: when its COPY waits, persist has more of it.
    size = 2000
    with large_sends(cluster, size, "much is said in this text " * 10) as client:
        with contextlib.closing(psycopg2.connect(postgres.conninfo)) as holder:
            holder.cursor().execute("SELECT pg_advisory_lock(1)")
            harness.until("a COPY waits", lambda: copies_with_rows("advisory"), 60)
            stopped.process.send_signal(signal.SIGSTOP)
            harness.until("it is stopped", stands_still)
            sends, before = client.last, ended()
        harness.until("the server wants more of it", all_want_more)
        assert copies_with_rows("ClientRead")
        harness.until("what it was given is committed", lambda: client.through >= sends, 60)
        assert stands_still() and ended() > before
        there = stored(sends * size)
        assert len(there) == sends * size
        # It goes on where it was: what it still has is old by now, and changes nothing.
        stopped.process.send_signal(signal.SIGCONT)
    harness.until("the stopped one is ready again", lambda: harness.http(
        stopped.http_address, "/readyz")[0] == 200)
    assert stored(sends * size) == there
    assert count(cluster) == (client.committed,) * 2 and dead(cluster) == 0


# --- clients and connections --------------------------------------------------------------------


@contextlib.contextmanager
def large_sends(cluster, n, text):
    """Sends of `n` texts each for as long as the block lasts, of which 16 at most are not committed yet. It is
    given the client, to be looked at; when it is left, all must be committed."""
    left = threading.Event()

    def feed(client):
        numbers = itertools.count()
        while not left.is_set():
            ids = [f"t{i}" for i in itertools.islice(numbers, n)]
            client.send("text", harness.packed(ids, text), list(range(n)))
            client.wait(lambda: left.is_set() or client.last - client.through < 16, 90 * harness.PATIENCE)
        client.wait(client.all_committed, 90 * harness.PATIENCE)

    with harness.client_of(cluster.endpoint) as client:
        feeder = threading.Thread(target=feed, args=(client,))
        feeder.start()
        try:
            harness.some_rows(cluster)
            yield client
        finally:
            left.set()
            feeder.join()
        assert client.all_committed()


def test_a_connection_is_cut_in_the_middle_of_300_sends(cluster, wires):
    way = wires.wire(cluster.endpoint)
    chance = random.Random(3)
    with harness.client_of(way.endpoint) as client:
        for i in range(300):
            client.send("text", harness.packed(f"{i}-{j}" for j in range(5)), list(range(5)))
            if chance.random() < 0.03:
                way.cut()
        assert client.wait(client.all_committed, 60 * harness.PATIENCE)
        assert (client.accepted, client.committed, client.dead) == (1500, 1500, 0)
    assert count(cluster) == (1500, 1500)
    assert counter(cluster["ingest"], "leat_ingest_hellos_total") > 3


@pytest.mark.parametrize("late", [True, False], ids=["it comes too late", "it comes in time"])
def test_a_client_is_killed_while_its_frame_is_in_the_pipe(cluster, wires, late):
    way = wires.wire(cluster.endpoint)
    with harness.client_of(way.endpoint, "same") as first:
        first.send("text", harness.packed(["zero"]), [0])
        assert first.wait(first.all_committed, 30 * harness.PATIENCE)
        way.hold()
        first.send("text", harness.packed(["one", "two"], "of the first"), [0, 1])
        harness.until("its frame is in the pipe", lambda: way.held > 100)
    # It is dead, its frame is not.
    if not late:
        way.release()
        harness.until("the frame has come", lambda: counter(
            cluster["ingest"], "leat_ingest_sends_total") == 2)
    with harness.client_of(cluster.endpoint, "same") as second:
        assert second.last == (1 if late else 2)
        if late:
            way.release()
            harness.until("the frame was fenced", lambda: counter(
                cluster["ingest"], "leat_ingest_sends_fenced_total") >= 1)
        second.send("text", harness.packed(["one", "two"], "of the second"), [0, 1])
        assert second.wait(second.all_committed, 30 * harness.PATIENCE)
        assert second.committed == (3 if late else 5)
    assert cluster.query("SELECT id, text FROM texts ORDER BY id") == [
        ("one", "of the second"), ("two", "of the second"), ("zero", "a fine text")]


def test_a_client_is_killed_between_send_and_answer(cluster, folder):
    """The successor is told what is held, and nothing is taken twice."""
    with harness.client_of(cluster.endpoint, "same") as first:
        first.last += 1
        first.sends[1] = "text", harness.packed(["one"]), [0]
        first.transmit_sends()
        harness.until("ingest has it", lambda: counter(
            cluster["ingest"], "leat_ingest_sends_total") == 1)
    with harness.client_of(cluster.endpoint, "same") as second:
        assert second.last == 1
        assert second.wait(lambda: second.committed == 1, 30 * harness.PATIENCE)
    assert count(cluster) == (1, 1)


def test_a_client_that_was_stopped_does_not_take_its_name_back(make_cluster, wires):
    """Else it would read the kept answer to its successor's second send as one to its own."""
    cluster = make_cluster(settings={"ingest.unanswered": 1})  # who has sent a second has read the first ack
    way = wires.wire(cluster.endpoint)
    first = harness.send_in_background(way.endpoint, "-", "accepted", ("--client", "same"),
                                       stdin=subprocess.PIPE)

    def says(**record):
        first.stdin.write(json.dumps(record) + "\n")
        first.stdin.flush()

    says(id="zero", text="a fine text")
    harness.until("its first send was taken", lambda: counter(
        cluster["ingest"], "leat_ingest_sends_total") == 1)
    way.hold(back=False)
    says(id="one", text="of the first " * 20)
    harness.until("its second is in the pipe", lambda: way.held > 100)
    first.send_signal(signal.SIGSTOP)
    way.cut()
    with harness.client_of(cluster.endpoint, "same") as second:
        second.send("text", harness.packed(["two"], "of the second"), [0])
        assert second.wait(second.all_committed, 30 * harness.PATIENCE)
    way.release()
    first.send_signal(signal.SIGCONT)
    out, _ = first.communicate(timeout=60 * harness.PATIENCE)
    told = json.loads(out)
    assert (first.returncode, told["accepted"]) == (1, 1)
    assert "another client of the name same" in told["error"]
    assert cluster.query("SELECT id FROM texts ORDER BY id") == [("two",), ("zero",)]


def test_a_first_hello_said_again_takes_no_name_back(cluster):
    """It may have been read before, and another's since: else it would read the kept answers to the
    other's sends as its own. One that was never answered begins as another instance."""
    with harness.client_of(cluster.endpoint, "same") as first:
        first.send("text", harness.packed(["one"]), [0])
        assert first.wait(first.all_committed, 30 * harness.PATIENCE)
        second = harness.example.Client(cluster.endpoint, "same")
        number, second.said = second.instance, True  # its first one got lost
        with contextlib.closing(second.socket):
            assert second.wait(lambda: second.session, 10 * harness.PATIENCE)
            assert second.instance != number
            second.send("text", harness.packed(["two"]), [0])
            assert second.wait(second.all_committed, 30 * harness.PATIENCE)
            first.transmit({"type": "hello", "client": "same", "instance": first.instance,
                            "session": 0, "again": True})
            with pytest.raises(harness.example.Refused, match="another client of the name same"):
                first.wait(lambda: False, 10 * harness.PATIENCE)
            second.send("text", harness.packed(["three"]), [0])
            assert second.wait(second.all_committed, 30 * harness.PATIENCE)
    assert count(cluster) == (3, 3)


# --- workers and the ways between them ----------------------------------------------------------


@pytest.mark.parametrize("stage", ["cache", "classify", "persist"])
def test_a_worker_is_stopped_and_not_dead(make_cluster, folder, stage):
    cluster = make_cluster(**{stage: 2}, settings={
        "persist.lock_timeout": "500ms", "persist.blocker_age": "2s"})
    with harness.load(cluster) as load:
        cluster[stage, 1].process.send_signal(signal.SIGSTOP)
    n = load.n
    stored = cluster.query("SELECT id, version FROM texts ORDER BY id")
    cluster[stage, 1].process.send_signal(signal.SIGCONT)
    # What it still had comes late, and changes nothing.
    more = harness.texts_file(folder / "more.ndjson", range(n, n + 1000))
    assert harness.send(cluster.endpoint, more)["committed"] == 1000
    assert cluster.query("SELECT id, version FROM texts WHERE id = ANY(%s) ORDER BY id",
                         [i for i, _ in stored]) == stored
    assert count(cluster) == (n + 1000, n + 1000) and dead(cluster) == 0


def test_a_regress_is_stopped_and_not_dead(make_cluster, folder):
    cluster = make_cluster(regress=2)
    rows = test_features.sample("EURXAU")

    def all_rows():
        return cluster.query("SELECT count(*) FROM features_bqx")[0][0]

    def send_series(names):
        return test_features.send(cluster.endpoint, [
            block for name in names for block in test_features.blocks(name, rows, 200)])

    send_series(["before"])
    harness.until("both are connected", lambda: counter(
        cluster["ingest"], "leat_peers_connected", peer="regress") == 2)
    stopped = cluster["regress", 1]
    stopped.process.send_signal(signal.SIGSTOP)
    client, refused = send_series([f"S{i}" for i in range(10)])
    assert (client.committed, client.dead, refused) == (60, 0, [])
    assert counter(cluster["ingest"], "leat_ingest_batches_resent_total", kind="series") > 0
    stored = cluster.query("SELECT series, ts, version, value FROM features_bqx ORDER BY 1, 2")
    stopped.process.send_signal(signal.SIGCONT)
    # What it still had comes late, and changes nothing.
    harness.until("it goes on", lambda: counter(
        stopped, "leat_stage_batches_out_total") == counter(stopped, "leat_stage_batches_in_total") > 0)
    send_series(["after"])
    assert cluster.query("SELECT series, ts, version, value FROM features_bqx WHERE series <> 'after'"
                         " ORDER BY 1, 2") == stored
    assert all_rows() == 12 * len(rows) and dead(cluster) == 0


def test_an_address_of_a_stage_is_used_by_another_service(make_cluster, folder):
    cluster = make_cluster(classify=2)
    harness.send(cluster.endpoint, harness.texts_file(folder / "first.ndjson", range(500)))
    cluster["classify", 1].kill()
    inbox = cluster.ports["classify"][1][0]
    stranger = harness.Program(
        folder, "leat-persist", "--set", f"persist.inbox=tcp://127.0.0.1:{inbox}",
        "--set", f"persist.acks=tcp://127.0.0.1:{harness.free_port()}",
        "--set", f"store.url=sqlite:{folder}/stranger.db",
        "--set", f"persist.http=127.0.0.1:{(port := harness.free_port())}",
        http_address=f"127.0.0.1:{port}").wait_ready()
    sent = 500

    def is_given_what_is_not_for_it():
        nonlocal sent
        more = harness.texts_file(folder / "more.ndjson", range(sent, sent + 500))
        assert harness.send(cluster.endpoint, more)["committed"] == 500
        sent += 500
        return counter(stranger, "leat_stage_dropped_total", reason="stage") > 0

    harness.until("it is given what is not for it", is_given_what_is_not_for_it)
    assert stranger.stop() == 0
    cluster.start("classify", 1).wait_ready()
    again = harness.texts_file(folder / "again.ndjson", range(sent, sent + 3000))
    assert harness.send(cluster.endpoint, again)["committed"] == 3000
    assert count(cluster) == (sent + 3000, sent + 3000) and dead(cluster) == 0


def test_the_way_of_acks_is_cut_for_long(make_cluster, folder, wires):
    # Seven seconds instead of a minute: more than three times as long as persist repeats its acks.
    way = wires.wire()
    cluster = make_cluster(settings={"persist.acks_address": way.endpoint})
    way.to(f"tcp://127.0.0.1:{cluster.ports['persist'][0][1]}")
    n = 30000 // harness.PATIENCE
    assert harness.send(cluster.endpoint, harness.texts_file(
        folder / "first.ndjson", ["first"]))["committed"] == 1
    way.to(None)
    way.cut()
    sender = harness.send_in_background(
        cluster.endpoint, harness.texts_file(folder / "load.ndjson", range(n)), wait="accepted")
    assert harness.finish(sender)["accepted"] == n
    ingest = cluster["ingest"]
    time.sleep(OUTAGE or 7)  # the cut itself
    resent, probes = sent_again(ingest)
    assert resent == probes <= 6 + OUTAGE / 20
    way.to(f"tcp://127.0.0.1:{cluster.ports['persist'][0][1]}")
    harness.until("everything was acknowledged", lambda: counter(
        ingest, "leat_ingest_journal_batches") == 0, 60)
    assert count(cluster) == (n + 1, n + 1) and dead(cluster) == 0


def test_ways_that_are_slow_cost_time_and_no_storm(make_cluster, folder, wires):
    ways = {stage: wires.wire(delay=0.15) for stage in ("cache", "classify", "persist", "acks")}
    cluster = make_cluster(settings={
        "persist.acks_address" if name == "acks" else f"{name}.address": way.endpoint
        for name, way in ways.items()})
    for name, way in ways.items():
        stage, port = ("persist", 1) if name == "acks" else (name, 0)
        way.to(f"tcp://127.0.0.1:{cluster.ports[stage][0][port]}")
    n = 10000 // harness.PATIENCE
    assert harness.send(cluster.endpoint, harness.texts_file(
        folder / "load.ndjson", range(n)))["committed"] == n
    ingest = cluster["ingest"]
    assert counter(ingest, "leat_ingest_batches_resent_total") <= \
        counter(ingest, "leat_ingest_batches_acknowledged_total") / 10
    assert count(cluster) == (n, n) and dead(cluster) == 0
