"""leat tap: some of the records that pass, and never a record the fewer or the later."""

import json
import subprocess

import harness
from harness import leat, texts_file, until


def start_tap(*arguments):
    return subprocess.Popen([harness.BIN / "leat", "tap", "--json", "--interval", "0",
                             *map(str, arguments)],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def flow_until_ended(tap, endpoint, folder):
    """Sends texts, one small file after another, until the tap has seen what it wanted."""
    sent = 0

    def more():
        nonlocal sent
        told = harness.send(endpoint, texts_file(folder / "t.ndjson", range(sent, sent + 50)))
        assert told["committed"] == 50
        sent += 50
        return tap.poll() is not None

    until("the tap has seen enough", more, 60)
    out, err = tap.communicate()
    assert tap.returncode == 0, err
    return sent, [json.loads(line) for line in out.splitlines()]


def test_tap_shows_records_as_they_leave_a_stage(embedded, folder):
    for stage in ("cache", "classify", "persist"):
        tap = start_tap("--limit", 3, "--data", embedded.data, stage)
        _, seen = flow_until_ended(tap, embedded.endpoint, folder)
        assert len(seen) == 3
        for one in seen:
            assert one["stage"] == stage and one["kind"] == "text" and one["attempt"] >= 1
            assert one["record"]["id"].startswith("t")
            assert stage == "cache" or one["result"]
    assert (embedded.data / "tap").stat().st_mode & 0o777 == 0o700
    assert embedded.program.stop() == 0
    assert not list((embedded.data / "tap").iterdir())


def test_a_tap_that_stands_still_holds_nothing_up(embedded, folder):
    tap = start_tap("--data", embedded.data, "classify")
    try:
        harness.send(embedded.endpoint, texts_file(folder / "a.ndjson", range(50)))
        tap.send_signal(harness.signal.SIGSTOP)
        told = harness.send(embedded.endpoint, texts_file(folder / "b.ndjson", range(20000)))
        assert told["committed"] == 20000 and told["resent"] == 0
        resent, probed = (embedded.program.metric(f"leat_ingest_batches_{what}_total")
                          for what in ("resent", "probed"))
        assert resent == probed  # a slow machine's, and nothing but these
    finally:
        tap.kill()
        tap.communicate()


def test_tap_meets_every_instance_and_files_of_the_dead_go(make_cluster, folder):
    cluster = make_cluster(classify=2, settings={"tap.dir": folder / "tap"})
    files = set((folder / "tap").glob("classify.*"))
    assert len(files) == 2
    tap = start_tap("--limit", 2, "--set", f"tap.dir={folder}/tap", "classify")
    _, seen = flow_until_ended(tap, cluster.endpoint, folder)
    assert len(seen) == 2
    cluster["classify", 0].kill()
    cluster.start("classify", 0).wait_ready()
    now = set((folder / "tap").glob("classify.*"))
    assert len(now) == 2 and now != files


def test_tap_tells_what_is_missing(folder):
    done = leat("tap", "--data", folder, "classify")
    assert done.returncode == 1 and "--data DIR" in done.stderr and "tap.dir" in done.stderr
    done = leat("tap", "ingest")
    assert done.returncode == 2 and "persist" in done.stderr


def test_a_folder_that_cannot_be_made_costs_the_tap_only(make_embedded, folder):
    running = make_embedded("--set", "tap.dir=/proc/none")
    assert "event=no_tap" in running.program.log()
    told = harness.send(running.endpoint, texts_file(folder / "t.ndjson", range(3)))
    assert told["committed"] == 3
