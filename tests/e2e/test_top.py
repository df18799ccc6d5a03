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

import pytest

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
    done = leat("top", "--once", "--interval", "0.2", embedded.program.http_address, check=True)
    assert "\x1b" not in done.stdout
    rows = table(done)
    for stage in ("ingest", "cache", "classify", "regress", "persist"):
        assert rows[stage][0] == "1"
        assert rows[stage][1] == "0"
    assert rows["journal"]


def test_top_finds_processes_by_their_settings(cluster, folder):
    places = [word for (stage, _), program in cluster.programs.items()
              for word in ("--set", f"{stage}.http={program.http_address}")]
    nowhere = f"127.0.0.1:{harness.free_port()}"
    done = leat("top", "--once", "--interval", "0.2", "--set", f"run.http={nowhere}", *places,
                check=True)
    assert {"ingest", "cache", "classify", "regress", "persist"} <= set(table(done))
    assert nowhere not in done.stderr  # nobody said that leat run is about
    cluster["classify"].kill()
    done = leat("top", "--once", "--interval", "0.2", *places, check=True)
    assert "classify" not in table(done)
    assert done.stderr == f"leat top: classify: {cluster['classify'].http_address}: Connection refused\n"


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
