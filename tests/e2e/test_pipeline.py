"""Texts go in by a client, what was found in them is in the database: every id once."""

import contextlib
import json
import os
import random
import signal
import socket
import time

import msgpack
import pytest
import zmq

import harness

EMOTIONS = {"anger", "disgust", "fear", "joy", "sadness", "surprise", "trust", "neutral"}


def ids(store):
    return sorted(row[0] for row in store.query("SELECT id FROM texts"))


def check_row(row):
    """What must hold for every text, whatever the model found."""
    distribution = json.loads(row["emotion_distribution"])
    assert set(distribution) == EMOTIONS
    assert all(share >= 0 for share in distribution.values())
    assert abs(sum(distribution.values()) - 1) <= 1e-6
    score = row["sentiment_score"]
    assert -1 <= score <= 1
    assert row["sentiment_label"] == (
        "positive" if score >= 0.2 else "negative" if score <= -0.2 else "neutral")
    largest = max(distribution.values())
    assert row["emotion_label"] == "neutral" or distribution[row["emotion_label"]] == largest
    assert abs(row["emotion_score"] - distribution[row["emotion_label"]]) < 1e-9 or largest < 0.2
    assert 1 <= row["influence_weight"] <= 5
    assert 0 <= row["confidence_weight"] <= 1
    emotions = json.loads(row["emotions"])
    assert [e["probability"] for e in emotions] == sorted(
        (e["probability"] for e in emotions), reverse=True)
    topics = json.loads(row["topics"])
    assert len(topics) <= 5 and all(t["confidence"] >= 0.2 for t in topics)
    assert row["primary_topic"] == (topics[0]["topic"] if topics else None)


COLUMNS = ("id", "sentiment_label", "sentiment_score", "emotion_label", "emotion_score",
           "emotion_distribution", "emotions", "influence_weight", "confidence_weight",
           "primary_topic", "topics", "truncated")


def found(store, text_cast=""):
    """What was found for each id, as a dict of rows."""
    columns = ", ".join(c + (text_cast if c in ("emotion_distribution", "emotions", "topics") else "")
                        for c in COLUMNS)
    rows = store.query(f"SELECT {columns} FROM texts")
    return {row[0]: dict(zip(COLUMNS, row)) for row in rows}


def test_the_sample_comes_out_as_it_is_known_to(embedded):
    path = harness.SAMPLE / "texts.ndjson"
    told = harness.send(embedded.endpoint, path)
    lines = len(path.read_bytes().splitlines())
    assert told["sent"] == lines
    assert told["rejected"] >= 8
    assert told["accepted"] == told["committed"] == lines - told["rejected"]
    rows = found(embedded)
    assert len(rows) == told["committed"]
    for row in rows.values():
        check_row(row)
    assert embedded.query("SELECT count(*) FROM dead_letters") == [(0,)]
    known = (harness.SAMPLE / "found.tsv").read_text().splitlines()[1:]
    lines = ["\t".join(row) for row in embedded.query((harness.SAMPLE / "found.sql").read_text())]
    assert lines == known, "tests/data/sample/README.md says how to renew it"
    assert embedded.program.stop() == 0


def test_what_is_found_in_a_text_does_not_depend_on_those_beside_it(make_embedded):
    # Nobody is where the cache is told to look: everything is computed.
    embedded = make_embedded("--set", f"cache.url=redis://127.0.0.1:{harness.free_port()}/0")
    path = harness.SAMPLE / "texts.ndjson"
    harness.send(embedded.endpoint, path)
    among = found(embedded)
    for line in path.read_bytes().splitlines(keepends=True)[5::20]:
        assert harness.send(embedded.endpoint, "-", input=line)["committed"] == 1
    assert found(embedded) == among
    assert embedded.query("SELECT count(DISTINCT seq) FROM texts")[0][0] > 12
    assert not embedded.program.metric("leat_cache_lookups_total", outcome="hit")


def test_separate_processes_find_the_same_as_embedded(embedded, cluster):
    path = harness.SAMPLE / "texts.ndjson"
    harness.send(embedded.endpoint, path)
    told = harness.send(cluster.endpoint, path)
    here, there = found(embedded), found(cluster, "::text")
    assert len(there) == told["committed"]
    assert here.keys() == there.keys()
    for key, row in there.items():
        check_row(row)
        for column in COLUMNS:
            mine, other = here[key][column], row[column]
            if column in ("emotion_distribution", "emotions", "topics"):
                mine, other = json.loads(mine), json.loads(other)
            assert mine == other, (key, column)


def fill_cache(cluster, path):
    """What was found in the texts of a file, when nearly all of it is in Redis."""
    harness.send(cluster.endpoint, path)
    first = found(cluster, "::text")

    def filled():
        # Results that came before classify and cache were connected are computed again.
        harness.send(cluster.endpoint, path)
        return cluster.redis.keys() > 0.9 * len(first)

    harness.until("the results are in redis", filled)
    return first


PATIENT = {"cache.timeout": "10s"}  # else what Redis answers late is a miss


def hits(cluster):
    return cluster["cache"].metric("leat_cache_lookups_total", outcome="hit")


def test_what_comes_from_the_cache_is_what_was_computed(make_cluster):
    cluster = make_cluster(settings=PATIENT)
    path = harness.SAMPLE / "texts.ndjson"
    first = fill_cache(cluster, path)
    before = hits(cluster)
    harness.send(cluster.endpoint, path)
    assert hits(cluster) - before > 0.9 * len(first)
    assert found(cluster, "::text") == first


def test_what_was_found_under_other_settings_is_not_taken_from_the_cache(make_cluster):
    cluster = make_cluster(settings=PATIENT)
    path = harness.SAMPLE / "texts.ndjson"
    first = fill_cache(cluster, path)
    assert {row["sentiment_label"] for row in first.values()} > {"neutral"}
    assert cluster["classify"].stop() == 0
    before = hits(cluster)
    sender = harness.send_in_background(cluster.endpoint, path)
    # As many as it can take in hand while nobody takes them from it.
    harness.until("the cache has filled some in, as it knows nothing else yet",
                  lambda: hits(cluster) > before)
    cluster.settings |= {"classify.sentiment_lower": "-1", "classify.sentiment_upper": "1"}
    cluster.start("classify").wait_ready()
    harness.finish(sender)
    rows = found(cluster, "::text")
    assert len(rows) == len(first)
    assert {row["sentiment_label"] for row in rows.values()} == {"neutral"}


def test_sending_again_keeps_one_row_and_the_newer_version(embedded, folder):
    path = harness.texts_file(folder / "a.ndjson", range(500))
    harness.send(embedded.endpoint, path)
    before = dict(embedded.query("SELECT id, version FROM texts"))
    newer = harness.texts_file(folder / "b.ndjson", range(250, 750), "version two of {i}")
    harness.send(embedded.endpoint, newer)
    after = dict(embedded.query("SELECT id, version FROM texts"))
    assert len(after) == 750
    for key, version in before.items():
        if int(key[1:]) < 250:
            assert after[key] == version
        else:
            assert after[key] > version
    assert embedded.query("SELECT count(*) FROM texts WHERE text LIKE 'version two%'") == [(500,)]


@pytest.mark.parametrize("stage", ["cache", "classify", "persist", "ingest"])
def test_a_killed_process_loses_nothing(make_cluster, stage):
    cluster = make_cluster(classify=2)
    with harness.load(cluster) as load:
        cluster[stage].kill()
        time.sleep(0.2)  # the load goes on without it for a moment
        cluster.start(stage).wait_ready()
    assert harness.count(cluster) == (load.n, load.n)


def test_redis_may_go_and_come_back(cluster, folder):
    with harness.load(cluster) as load:
        cluster.redis.kill()
    cluster.redis.start()
    more = harness.texts_file(folder / "more.ndjson", range(load.n, load.n + 100))
    assert harness.send(cluster.endpoint, more)["committed"] == 100
    assert len(ids(cluster)) == load.n + 100


def test_postgresql_may_crash(folder, own_postgres, redis):
    with contextlib.closing(harness.Cluster(folder, own_postgres, redis)) as cluster:
        with harness.load(cluster) as load:
            harness.set_store_down(cluster, own_postgres)
            own_postgres.start()
        assert harness.count(cluster) == (load.n, load.n)
        assert cluster.query("SELECT count(*) FROM dead_letters") == [(0,)]


def test_a_drained_run_leaves_nothing_and_goes_on_later(embedded, folder):
    path = harness.texts_file(folder / "a.ndjson", range(2000))
    harness.send(embedded.endpoint, path, wait="accepted")
    assert embedded.program.stop() in (0, 3)
    embedded.start()
    harness.until("all are in the store", lambda: len(ids(embedded)) == 2000)
    assert embedded.program.stop() == 0


def test_a_backlog_waits_in_the_journal_in_flat_memory(cluster, folder):
    n = 4000 // harness.PATIENCE
    path = harness.texts_file(folder / "load.ndjson", range(n), "number {i} had a good day, " * 2200)
    harness.send(cluster.endpoint, harness.texts_file(folder / "first.ndjson", ["first"]))
    before = {program: program.anonymous_mb() for program in cluster.programs.values()}
    cluster["persist"].process.send_signal(signal.SIGSTOP)
    told = harness.send(cluster.endpoint, path, wait="accepted")
    assert told["accepted"] == n
    if harness.PATIENCE == 1:  # the sanitizer keeps for a while what was freed
        assert path.stat().st_size > 240e6
        for program, mb in before.items():
            assert program.anonymous_mb() - mb < 48, program.name
    # An ingest that finds it when it starts streams it, too.
    cluster["ingest"].kill()
    cluster["persist"].process.send_signal(signal.SIGCONT)
    ingest = cluster.start("ingest").wait_ready()
    peak = 0

    def all_stored():
        nonlocal peak
        peak = max(peak, ingest.anonymous_mb())
        return cluster.query("SELECT count(*) FROM texts")[0][0] == n + 1

    harness.until("all are in the store", all_stored, 300)
    assert cluster.query("SELECT count(DISTINCT id) FROM texts") == [(n + 1,)]
    assert harness.PATIENCE > 1 or peak < 64


GREETING = b"\xff" + bytes(8) + b"\x7f\3\0" + b"NULL".ljust(20, b"\0") + bytes(32)  # of ZMTP
PING = b"\4\7\4PING\0\0"
MEGABYTE, LARGE = bytes(1 << 20), 256  # more than any frame is, also on its way to persist


def plain(address):
    """A connection without ZeroMQ."""
    host, port = address.removeprefix("tcp://").split(":")
    return socket.create_connection((host, int(port)), 60 * harness.PATIENCE)


def heard(link, word=None):
    """What the other end says up to this word, or until it closes; fails when neither comes."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while word is None or word not in said:
            more = link.recv(4096)
            if not more:
                break
            said += more
    return said


def check_served(cluster, folder):
    path = harness.texts_file(folder / "a.ndjson", range(300))
    assert harness.send(cluster.endpoint, path)["committed"] == 300


def test_random_bytes_on_every_port_change_nothing(cluster, folder):
    chance = random.Random(4)
    context = zmq.Context()
    try:
        for address, kind in cluster.endpoints():
            link = context.socket(kind)
            link.linger = 2000
            link.connect(address)
            for size in (0, 1, 2, 17, 1000, 60000):
                link.send(chance.randbytes(size))
                link.send(msgpack.packb({"v": 1, "type": chance.random()}))
                link.send(msgpack.packb({"v": 9, "type": "send", "kind": "text"}))
                link.send_multipart([b"two", b"frames"])
            link.close()
            # And what is no ZeroMQ at all.
            with plain(address) as raw:
                raw.sendall(chance.randbytes(3000))
    finally:
        context.term()
    check_served(cluster, folder)
    for program in cluster.programs.values():
        assert program.process.poll() is None, program.log()
        program.check_sanitizers()


def test_who_connects_and_does_not_go_on_is_closed(cluster, folder):
    addresses = [address for address, _ in cluster.endpoints()]
    addresses += [program.http_address for program in cluster.programs.values()]
    with contextlib.ExitStack() as stack:
        links = []
        for address in addresses:
            for said in (b"", GREETING[:12], GREETING):
                link = stack.enter_context(plain(address))
                link.sendall(said)
                links.append(link)
        check_served(cluster, folder)
        for link in links:
            heard(link)
    check_served(cluster, folder)  # and no connection that is in use was


def test_a_frame_that_is_too_large_ends_its_connection_only(cluster, folder):
    for address, kind in cluster.endpoints():
        name = kind.name.encode()
        ready = b"\5READY\x0bSocket-Type" + len(name).to_bytes(4, "big") + name
        with plain(address) as link:
            link.sendall(GREETING + bytes((4, len(ready))) + ready)
            heard(link, b"READY")
            link.sendall(PING)
            assert b"PONG" in heard(link, b"PONG")  # it stands
            with contextlib.suppress(ConnectionError):
                link.sendall(b"\2" + (LARGE * len(MEGABYTE)).to_bytes(8, "big"))
                for _ in range(LARGE):
                    link.sendall(MEGABYTE)
                link.sendall(PING)
            assert b"PONG" not in heard(link, b"PONG")
    check_served(cluster, folder)
    assert all(program.process.poll() is None for program in cluster.programs.values())


def test_one_way_records_arrive_and_invalid_ones_are_dead_letters(embedded):
    context = zmq.Context()
    try:
        link = context.socket(zmq.PUSH)
        link.connect(embedded.oneway)
        link.send(msgpack.packb({"v": 1, "kind": "text", "records": [
            {"id": "good", "text": "what a wonderful day"},
            {"id": "bad", "text": ""},
            {"id": "fine", "text": "terrible weather"},
            17,
        ]}))
        harness.until("the good ones are there", lambda: ids(embedded) == ["fine", "good"])
        dead = harness.until("the others are dead letters", lambda: embedded.query(
            "SELECT id, stage, code FROM dead_letters ORDER BY record"))
        assert dead == [("bad", "ingest", "text_empty"), (None, "ingest", "record_not_map")]
    finally:
        context.destroy(linger=0)


def test_a_full_journal_makes_clients_wait_and_loses_nothing(make_cluster, folder):
    cluster = make_cluster(settings={"journal.max_bytes": "1MB"})
    cluster["persist"].process.send_signal(signal.SIGSTOP)
    n = 30000 // harness.PATIENCE
    path = harness.texts_file(folder / "load.ndjson", range(n), "filler " * 20 + "{i}")
    sender = harness.send_in_background(cluster.endpoint, path)
    harness.until("ingest says busy", lambda: harness.counter(cluster["ingest"], "leat_ingest_sends_busy_total") > 0)
    cluster["persist"].process.send_signal(signal.SIGCONT)
    assert harness.finish(sender)["committed"] == n
    assert harness.count(cluster) == (n, n)


def test_a_record_that_crashes_the_work_is_a_dead_letter(make_embedded, folder):
    if not harness.BUILD.name.endswith("san"):
        pytest.skip("faults can be injected in the sanitized build only")
    embedded = make_embedded("--set", "test.crash_on=POISON", "--set", "test.hang_on=TARPIT",
                             "--set", "child.timeout=8s")
    path = folder / "poison.ndjson"
    with open(path, "w") as out:
        for i in range(4):  # each time that half of them hangs, they are given half of the time
            text = {0: "POISON", 3: "TARPIT"}.get(i, "fine") + f" {i}"
            out.write(json.dumps({"id": f"t{i}", "text": text}) + "\n")
    told = harness.send(embedded.endpoint, path, check=False)
    assert (told["accepted"], told["committed"], told["dead"]) == (4, 2, 2)
    assert ids(embedded) == ["t1", "t2"]
    dead = dict(embedded.query("SELECT id, code FROM dead_letters"))
    assert dead == {"t0": "crashed", "t3": "timeout"}


def test_fault_injection_is_refused_in_a_release(folder):
    if harness.BUILD.name.endswith("san"):
        pytest.skip("the sanitized build has fault injection")
    done = harness.leat("run", "--data", folder / "d", "--set", "test.crash_on=x")
    assert done.returncode == 2
    assert "test.crash_on" in done.stderr


def refused(folder, *arguments, status=1):
    done = harness.leat("run", "--data", folder / "d", "--listen",
                        f"tcp://127.0.0.1:{harness.free_port()}", "--oneway", "", *arguments, timeout=30)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr and "Sanitizer" not in done.stderr
    return done.stderr


def test_a_broken_topic_file_is_refused_with_the_place(folder):
    path = folder / "topics.json"
    path.write_text('{"topics": [\n {"key": "a", "name": "A", "keywords": []}\n]}')
    assert "topics.json" in refused(folder, "--set", f"classify.topics={path}")
    path.write_text("{")
    assert "line 1" in refused(folder, "--set", f"classify.topics={path}")


def test_a_broken_model_is_refused(folder):
    shipped = (harness.BUILD / "share" / "leat" / "default.model").read_bytes()
    card = (harness.BUILD / "share" / "leat" / "default.json").read_text()
    (folder / "m.json").write_text(card)
    for broken in (b"", b"not a model", shipped[: len(shipped) // 2],
                   shipped[:-1000] + bytes([shipped[-1000] ^ 1]) + shipped[-999:]):
        (folder / "m.model").write_bytes(broken)
        assert "m.model" in refused(folder, "--set", f"classify.model={folder}/m.model")
    (folder / "m.model").write_bytes(shipped)
    (folder / "m.json").write_text("{}")
    assert "m.json" in refused(folder, "--set", f"classify.model={folder}/m.model")


def test_wrong_settings_are_refused_with_a_suggestion(folder):
    error = refused(folder, "--set", "classify.topic=x", status=2)
    assert "classify.topics" in error
    error = refused(folder, "--set", "cache.ttl=soon", status=2)
    assert "cache.ttl" in error
    path = folder / "leat.conf"
    path.write_text("# comment\ncache.ttl = 1h\nno such thing\n")
    assert "leat.conf:3" in refused(folder, "--config", path, status=2)


def test_a_taken_port_is_said_plainly(embedded, folder):
    done = harness.leat("run", "--data", folder / "other", "--listen", embedded.endpoint,
                        "--oneway", "", timeout=30)
    assert done.returncode == 1
    assert embedded.endpoint in done.stderr and "in use" in done.stderr.lower()


def test_a_port_that_is_none_is_refused_instead_of_another_one_bound(folder):
    done = harness.leat("run", "--data", folder / "d", "--listen", "tcp://127.0.0.1:99999",
                        "--oneway", "", timeout=30)
    assert done.returncode == 1
    assert "tcp://127.0.0.1:99999" in done.stderr and "65535" in done.stderr
    assert "clients at" not in done.stdout


def test_a_store_in_use_is_said_plainly(embedded, folder):
    done = harness.leat("run", "--data", embedded.data, "--listen",
                        f"tcp://127.0.0.1:{harness.free_port()}", "--oneway", "", timeout=30)
    assert done.returncode == 1
    assert str(embedded.data) in done.stderr


def test_a_store_that_is_away_at_start_is_waited_for(folder, own_postgres, redis):
    import contextlib

    own_postgres.crash()
    # Not ready yet, so the harness' wait is done by hand.
    with harness.folder() as second:
        port = harness.free_port()
        program = harness.Program(
            second, "leat-persist", "--set", f"store.url={own_postgres.conninfo}",
            "--set", f"persist.inbox=tcp://127.0.0.1:{harness.free_port()}",
            "--set", f"persist.acks=tcp://127.0.0.1:{harness.free_port()}",
            "--set", f"persist.http=127.0.0.1:{port}", http_address=f"127.0.0.1:{port}")
        harness.until("it says why it is not ready",
                      lambda: harness.http(program.http_address, "/readyz")[0] == 503)
        assert program.process.poll() is None
        own_postgres.start()
        program.wait_ready()
        assert program.stop() == 0


def test_every_process_answers_health_metrics_and_readiness(cluster):
    for program in cluster.programs.values():
        assert harness.http(program.http_address, "/healthz")[0] == 200
        assert harness.http(program.http_address, "/readyz")[0] == 200
        status, text = harness.http(program.http_address, "/metrics")
        assert status == 200 and "# TYPE leat_" in text
        assert harness.http(program.http_address, "/nothing")[0] == 404


def test_huge_texts_are_cut_and_too_huge_ones_refused(embedded, folder):
    path = folder / "huge.ndjson"
    limit = 64 * 1024
    with open(path, "w") as out:
        out.write(json.dumps({"id": "fits", "text": "good " * (limit // 5)}) + "\n")
        out.write(json.dumps({"id": "over", "text": "x" * (limit + 1)}) + "\n")
        out.write(json.dumps({"id": "far over", "text": "x" * 3_000_000}) + "\n")
    told = harness.send(embedded.endpoint, path)
    assert (told["sent"], told["committed"], told["rejected"]) == (3, 1, 2)
    assert embedded.query("SELECT id, truncated FROM texts") == [("fits", 1)]
