"""The torture in short (`make torture` is the long one), the judge that it relies on, how soon a
killed worker is replaced, and a short run under valgrind."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import types

import msgpack
import pytest

import harness
import test_features

TORTURE = harness.ROOT / "tests" / "torture"
SANITIZED = harness.BUILD.name.endswith("san")


@contextlib.contextmanager
def torture_modules():
    sys.path.insert(0, str(TORTURE))
    try:
        yield
    finally:
        sys.path.remove(str(TORTURE))


def run(program, *words, timeout=480):
    """The lines of JSON that it prints; its exit status says that all is well. When it takes too long it
    is told to end, PostgreSQL included, and what is left of it is killed."""
    process = subprocess.Popen([TORTURE / program, *map(str, words)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True,
                               env={**os.environ, "TEST_BUILD": str(harness.BUILD)})
    try:
        out, err = process.communicate(timeout=timeout * harness.PATIENCE)
    except BaseException:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    assert process.returncode == 0, out + err
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("seconds", ["abc", "0", "-5", "1.5", ""])
@pytest.mark.parametrize("what", ["torture/torture", "torture/soak", "fuzz/run"])
def test_no_run_begins_without_seconds_that_make_sense(what, seconds):
    done = subprocess.run([harness.ROOT / "tests" / what, f"--seconds={seconds}"],
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--seconds: must be a whole number of 1 or more" in done.stderr


@pytest.mark.parametrize("target", ["torture", "soak", "fuzz"])
def test_nothing_is_built_for_seconds_that_make_no_sense(target):
    for seconds in ("abc", "0", "-5", "1 2", ""):
        done = subprocess.run(
            ["make", "-n", "--no-print-directory", target, f"SECONDS={seconds}"],
            cwd=harness.ROOT, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (2, "")
        assert "--seconds must be a whole number of 1 or more" in done.stderr
    assert subprocess.run(["make", "-n", target, "SECONDS=90"], cwd=harness.ROOT,
                          capture_output=True, timeout=60).returncode == 0


def test_nothing_is_lost_or_doubled_under_fire():
    # What is acknowledged and not committed is lost when persist ends while it cannot commit, so both
    # are often done. Of this seed such moments follow on each other, with many other faults.
    told, = run("torture", "--seconds", 12, "--seed", 1, "--faults", 2,
                "--often", "kill persist", "--often", "crash postgresql",
                "--rate", 1000 // harness.PATIENCE, "--limit", 400 * harness.PATIENCE)
    assert set(told) == {"seed", "seconds", "faults", "accepted", "lost", "doubled", "wrong",
                         "resent", "longest_stall_s"}
    assert told["faults"] >= 12 and told["accepted"] > 1000 // harness.PATIENCE
    assert (told["lost"], told["doubled"], told["wrong"]) == (0, 0, 0)


@pytest.mark.skipif(SANITIZED, reason="a measurement, so of the release only")
def test_the_rate_is_back_within_seconds_after_a_kill():
    try:
        run("recovery", "--rate", 2000, "persist")
    except AssertionError:  # a busy machine keeps a rate down by itself, but not each time
        run("recovery", "--rate", 2000, "persist")


@pytest.mark.skipif(SANITIZED, reason="it is about the torture itself")
def test_the_judge_of_the_torture_finds_every_fault(own_postgres, folder):
    """What is lost, doubled or wrong must be seen, or the torture would prove nothing."""
    with torture_modules():
        import crowd
        import kinds
        import verdict
    expected = crowd.Expected()
    expected.take([(f"k{i}", {"id": f"k{i}", "text": f"text {i}"}, None) for i in range(20)], "text")
    expected.take([("k0", {"id": "k0", "text": "newer"}, None)], "text")
    expected.take([("bad", {"id": "bad"}, "text_missing")], "text")
    blocks = [f"s/{i}" for i in range(3)]
    expected.take([(key, kinds.Series.record(random.Random(key), key), None) for key in blocks], "series")
    void = {"id": "void", "text": ""}
    for frame in (0, 1):  # of two one-way sends, one has come
        expected.take_frame([(f"w{frame}{i}", {"id": f"w{frame}{i}", "text": "one-way"}, None)
                             for i in range(3)] + ([] if frame else [("void", void, "text_empty")]))
    with contextlib.closing(harness.Embedded(folder, "--store", own_postgres.conninfo)) as embedded:
        come = {**expected.sure["text"], **expected.perhaps["text"]}
        verdict.send_all(embedded.endpoint, "text",
                         [record for key, record in come.items() if key[:2] != "w1"])
        verdict.send_all(embedded.endpoint, "series", list(expected.sure["series"].values()))

    def judged():
        found = verdict.compare(folder, own_postgres, expected)
        own_postgres.query("DROP DATABASE undisturbed")
        shutil.rmtree(folder / "data")
        return found.lost, found.doubled, found.wrong

    def bury(number, key):
        own_postgres.query("INSERT INTO dead_letters SELECT origin, 99, %s, 'text', %s, 'ingest',"
                           " 'text_empty', '', %s, 1, now(), now() FROM texts LIMIT 1",
                           number, key, msgpack.packb(void))

    bury(0, "void")
    assert judged() == (0, 0, 0)
    own_postgres.query("DELETE FROM dead_letters")
    assert judged() == (1, 0, 0)
    bury(0, "void")
    own_postgres.query("DELETE FROM texts WHERE id = 'w02'")  # half of a one-way send
    own_postgres.query("UPDATE dead_letters SET payload = 'other'")
    assert judged() == (1, 0, 1)
    own_postgres.query("DELETE FROM features_idx WHERE series = 's' AND ts = (SELECT min(ts) FROM features_idx)")
    own_postgres.query("UPDATE features_bqx SET r2_agg = 7 WHERE ts = (SELECT max(ts) FROM features_bqx)")
    own_postgres.query("UPDATE features_bqx SET series = 't' WHERE ts = (SELECT min(ts) FROM features_bqx)")
    assert judged() == (3, 0, 3)
    own_postgres.query("DELETE FROM texts WHERE id = 'k7'")
    own_postgres.query("UPDATE texts SET text = 'text 0' WHERE id = 'k0'")  # the older version
    own_postgres.query("UPDATE texts SET topics = '[]', sentiment_score = 0.5 WHERE id = 'k2'")
    own_postgres.query("UPDATE texts SET id = 'bad' WHERE id = 'k3'")  # one more is lost by it
    bury(1, "void")
    bury(2, "k5")
    assert judged() == (5, 1, 7)
    own_postgres.query("ALTER TABLE texts DROP CONSTRAINT texts_pkey")
    own_postgres.query("INSERT INTO texts SELECT * FROM texts WHERE id IN ('k9', 'k10')")
    assert judged() == (5, 3, 7)


@pytest.mark.parametrize("status, log, expected", [
    (0, "event=ready", True), (3, "event=ready", True),
    (-signal.SIGTERM, "", True),  # it came before the program could listen for it
    (-signal.SIGTERM, "event=ready", False), (1, "", False), (-signal.SIGSEGV, "", False)])
def test_the_torture_knows_how_a_program_ends_that_was_told_to(status, log, expected):
    with torture_modules():
        import fleet
    program = types.SimpleNamespace(process=types.SimpleNamespace(returncode=status),
                                    log=lambda: log)
    assert fleet.ended_as_told(program) == expected


@pytest.mark.skipif(SANITIZED, reason="sanitizers and valgrind do not go together")
@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_a_short_run_is_clean_under_valgrind(folder):
    data, endpoint = folder / "data", f"tcp://127.0.0.1:{harness.free_port()}"
    address = f"127.0.0.1:{harness.free_port()}"
    log = folder / "valgrind.log"
    with open(folder / "leat.log", "wb") as out:
        process = subprocess.Popen(
            ["valgrind", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite",
             f"--log-file={log}", harness.BIN / "leat", "run", "--data", data,
             "--listen", endpoint, "--set", f"run.http={address}",
             # A child starts what /proc/self/exe is, and that is valgrind.
             "--set", "child.enabled=no"],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder)
    try:
        harness.until("leat run is ready", lambda: process.poll() is not None or
                      harness.http(address, "/readyz")[0] == 200, 300)
        told = harness.send(endpoint, harness.SAMPLE / "texts.ndjson")
        assert told["committed"] == told["accepted"] > 100
        again = harness.send(endpoint, harness.SAMPLE / "texts.ndjson")
        assert again["committed"] == told["committed"]
        client, _ = test_features.send(endpoint, test_features.blocks(
            "S", test_features.sample("EURXAU")[:300], 200))
        assert client.committed == 2
        process.terminate()
        status = process.wait(300)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert status == 0, log.read_text()
    assert "ERROR SUMMARY: 0 errors" in log.read_text()
