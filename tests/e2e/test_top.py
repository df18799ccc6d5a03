"""leat top: the table for scripts, and the screen for people, which leaves the terminal as it was."""

import fcntl
import http.server
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import msgpack
import pytest
import zmq

import harness
from harness import PATIENCE, leat, send, texts_file, until


def table(done):
    """Stage -> the words of its line."""
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    return {line.split()[0]: line.split()[1:] for line in lines if line and line[0] != " "}


def test_top_once_shows_every_stage(embedded, folder):
    send(embedded.endpoint, texts_file(folder / "t.ndjson", range(300)))
    # The gauge follows within a second.
    until("all are ready", lambda: embedded.program.metric("leat_ready") == 5)

    def looks_at_rest():
        done = leat("top", "--once", "--interval", "0.2", embedded.program.http_address, check=True)
        assert "\x1b" not in done.stdout
        rows = table(done)
        assert rows["journal"]
        return all(rows[stage][:2] == ["1", "0"]
                   for stage in ("ingest", "cache", "classify", "regress", "persist"))

    until("each stage is ready and nothing comes in", looks_at_rest)


def test_top_finds_processes_by_their_settings(cluster, folder):
    places = [word for (stage, _), program in cluster.programs.items()
              for word in ("--set", f"{stage}.http={program.http_address}")]
    # Else a `leat run` that somebody has on this machine would be found at its usual place.
    nowhere = f"127.0.0.1:{harness.free_port()}"
    places += ["--set", f"run.http={nowhere}"]
    done = leat("top", "--once", "--interval", "0.2", *places, check=True)
    assert {"ingest", "cache", "classify", "regress", "persist"} <= set(table(done))
    assert nowhere not in done.stderr  # nobody said that leat run is about
    cluster["classify"].kill()
    done = leat("top", "--once", "--interval", "0.2", *places, check=True)
    assert "classify" not in table(done)
    assert f"leat top: classify: {cluster['classify'].http_address}: Connection refused\n" in done.stderr


WORKERS = ("cache", "classify", "regress", "persist")
COLUMNS = ("ready", "in", "out", "batch", "open", "oldest", "work", "wait", "full", "errors")


def read_by_top():
    """[(metric, stages, label)]: what top takes its figures from, of which stages."""
    source = (harness.ROOT / "services" / "leat" / "top_sample.c").read_text()
    table = source[source.index("sources[] = {"):source.index("\n};")]
    rows = re.findall(r'\{"(\w+)", (?:"(\w+)"|NULL), (?:"(\S+)"|NULL), TOP_\w+\}', table)
    assert len(rows) == table.count("TOP_") > 20
    everyone = ("ingest", *WORKERS)
    return [(name, (stage,) if stage else everyone if name == "leat_ready" else WORKERS,
             label.replace("\\", "")) for name, stage, label in rows]


def published(program):
    """[(metric, its labels)]"""
    lines = harness.http(program.http_address, "/metrics")[1].splitlines()
    return [line.rsplit(" ", 1)[0].partition("{")[::2] for line in lines if line[:1] != "#"]


def test_every_process_publishes_what_top_reads(cluster, embedded):
    for name, stages, label in read_by_top():
        for stage in stages:
            for program in (cluster[stage], embedded.program):
                found = [labels for metric, labels in published(program)
                         if metric == name and label in labels]
                # Where the name of a metric does not say the stage, a label does.
                assert any(name.startswith(f"leat_{stage}_") or f'stage="{stage}"' in labels
                           for labels in found), (name, stage, label, program.name)


def figures(cluster):
    """{(stage, column): number}, of what is not 0."""
    done = leat("top", "--once", "--interval", "0.5", check=True,
                *(program.http_address for program in cluster.programs.values()))
    shown = {(stage, column): re.match("[0-9.]+", word)
             for stage, words in table(done).items() if stage in ("ingest", *WORKERS)
             for column, word in zip(COLUMNS, words)}
    return {place: float(number[0]) for place, number in shown.items() if number and float(number[0])}


def test_top_shows_what_a_load_does(cluster):
    wanted = {(stage, column) for stage in ("cache", "classify", "persist")
              for column in ("ready", "in", "out", "batch", "work", "wait")}
    wanted |= {("ingest", column) for column in ("ready", "in", "out", "batch")}
    seen = {}

    def look():
        seen.update(figures(cluster))
        return wanted <= seen.keys()

    with harness.load(cluster):
        until("each stage is seen at work", look, 60)
    assert not [place for place in seen if place[1] == "errors"]
    assert 1 <= seen["classify", "batch"] <= harness.LOAD


def test_top_shows_what_waits_for_a_store(cluster, folder):
    path = texts_file(folder / "t.ndjson", range(100))
    cluster["persist"].process.send_signal(signal.SIGSTOP)
    send(cluster.endpoint, path, wait="accepted")
    until("what is on its way, and for how long, is shown",
          lambda: {("ingest", "open"), ("ingest", "oldest")} <= figures(cluster).keys())
    cluster["persist"].process.send_signal(signal.SIGCONT)
    until("nothing is on its way",
          lambda: not {("ingest", "open"), ("ingest", "oldest")} & figures(cluster).keys())


def test_top_counts_refused_frames_and_records_with_errors(cluster):
    bad = {"v": 1, "kind": "text", "records": [{"id": "bad", "text": ""}]}
    context = zmq.Context()
    for address, frame in ((cluster.settings["classify.address"], b"no batch"),
                           (cluster.oneway, msgpack.packb(bad))):
        link = context.socket(zmq.PUSH)
        link.connect(address)
        link.send(frame)
    # The record is a dead letter, which passes the other stages and ends in persist.
    wanted = {("ingest", "errors"), ("classify", "errors"), ("persist", "errors")}
    until("they are counted", lambda: wanted <= figures(cluster).keys())
    context.destroy(0)


def test_top_once_fails_when_nobody_answers():
    done = leat("top", "--once", "--interval", "0.1", f"127.0.0.1:{harness.free_port()}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("leat top: 127.0.0.1:") and "Connection refused" in done.stderr


class Stranger(http.server.BaseHTTPRequestHandler):
    """Answers every question well, but not as Leat does."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_):
        pass


@pytest.fixture(params=[b"", b"<html>hello</html>", b"process_resident_memory_bytes 5\n"])
def stranger(request):
    with http.server.HTTPServer(("127.0.0.1", 0), Stranger) as server:
        server.body = request.param
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_top_says_who_is_no_process_of_leat(stranger):
    done = leat("top", "--once", "--interval", "0.1", stranger)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"leat top: {stranger}: this is no process of Leat\n"
    screen = Screen("--interval", "0.1", stranger)
    screen.wait_for(f"{stranger}: this is no process of Leat")
    screen.end()


class Screen:
    """`leat top` on a terminal."""

    def __init__(self, *arguments, columns=80, rows=24):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(self.ours)
        self.process = subprocess.Popen([harness.BIN / "leat", "top", *arguments], stdin=theirs,
                                        stdout=theirs, stderr=theirs,
                                        env={**os.environ, "TERM": "xterm"}, start_new_session=True)
        os.close(theirs)
        self.text = ""

    def wait_for(self, wanted):
        deadline = time.monotonic() + 20 * PATIENCE
        while wanted not in self.text:
            assert time.monotonic() < deadline, self.text
            if select.select([self.ours], [], [], 0.1)[0]:
                self.text += os.read(self.ours, 65536).decode()
        return self

    def end(self):
        os.write(self.ours, b"q")
        assert self.process.wait(10 * PATIENCE) == 0
        os.close(self.ours)

    def settings(self):
        return termios.tcgetattr(self.ours)


def test_top_fits_a_small_terminal(embedded):
    """Else lines wrap, and what is above them scrolls away."""
    screen = Screen("--interval", "0.1", "--each", embedded.program.http_address, columns=40, rows=10)
    screen.wait_for("more lines").wait_for("more lines\r\n\x1b[J")
    picture = screen.text.split("\x1b[H")[1].split("\x1b[J")[0]
    lines = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", picture).split("\r\n")
    assert len(lines) == 10 and lines[0].startswith("stage")
    assert max(map(len, lines)) == 40
    screen.end()


@pytest.mark.parametrize("how", ["q", "signal"])
def test_top_on_a_terminal_ends_and_leaves_it_as_it_was(embedded, how):
    screen = Screen("--interval", "0.1", embedded.program.http_address)
    screen.wait_for("\x1b[?1049h").wait_for("classify").wait_for("100%")
    assert screen.settings()[3] != screen.before[3]
    if how == "q":
        os.write(screen.ours, b"q")
    else:
        screen.process.send_signal(signal.SIGINT)
    screen.wait_for("\x1b[?25h\x1b[?1049l")
    assert screen.process.wait(10 * PATIENCE) == 0
    assert screen.settings() == screen.before
    os.close(screen.ours)
