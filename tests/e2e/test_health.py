"""`leat health`, and the manuals as man pages."""

import shutil
import signal
import socket
import subprocess

import pytest

import harness
from harness import leat


def test_a_ready_process_is_told_with_its_services(embedded):
    done = leat("health", embedded.program.http_address, check=True)
    assert [line.split(": ") for line in done.stdout.splitlines()] == [
        [stage, "ready"] for stage in ("ingest", "cache", "classify", "regress", "persist")]


def test_nobody_there_is_not_healthy():
    done = leat("health", f"127.0.0.1:{harness.free_port()}")
    assert done.returncode == 1 and "Connection refused" in done.stderr


def test_one_of_several_that_is_not_ready_decides(embedded):
    done = leat("health", embedded.program.http_address, f"127.0.0.1:{harness.free_port()}")
    assert done.returncode == 1 and "persist: ready" in done.stdout


def test_a_stopped_process_is_not_waited_for_longer_than_asked(embedded):
    embedded.program.process.send_signal(signal.SIGSTOP)
    try:
        done = leat("health", "--timeout", "0.3", embedded.program.http_address)
    finally:
        embedded.program.process.send_signal(signal.SIGCONT)
    assert done.returncode == 1 and "no answer in time" in done.stderr


def health_of_server(answer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        asking = subprocess.Popen(
            [harness.BIN / "leat", "health", f"127.0.0.1:{server.getsockname()[1]}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with server.accept()[0] as link:
            link.recv(4096)
            link.sendall(answer)
        said, complained = asking.communicate(timeout=30 * harness.PATIENCE)
    return asking.returncode, said, complained


@pytest.mark.parametrize("answer, told", [
    (b"220 mail.example\r\n", "no HTTP answer"),
    (b"HTTP/1.1 000 \r\n\r\ningest: ready\n", "no HTTP answer"),
    (b"HTTP/1.1 200 OK\r\n\r\n<!doctype html>\n", "answered 200: is this a process of Leat?"),
    (b"HTTP/1.1 200 OK\r\n\r\n", "answered 200: is this a process of Leat?"),
    (b"HTTP/1.1 404 Not Found\r\n\r\ningest: ready\n", "answered 404"),
])
def test_another_kind_of_server_is_told_apart(answer, told):
    status, said, complained = health_of_server(answer)
    assert status == 1 and told in complained and said == ""


def test_no_answer_speaks_to_the_terminal():
    status, said, _ = health_of_server(b"HTTP/1.1 503 No\r\n\r\npersist: \x1b[2Jnot ready\n")
    assert status == 1 and said == "persist: \N{REPLACEMENT CHARACTER}[2Jnot ready\n"


@pytest.mark.parametrize("words", [[], ["here"], ["--timeout", "soon", "127.0.0.1:1"]])
def test_wrong_words_are_refused(words):
    assert leat("health", *words).returncode == 2


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_manuals_are_man_pages():
    for command in ("run", "send", "show", "stats", "dead", "config", "train", "health"):
        page = leat("help", "--roff", command, check=True).stdout
        done = subprocess.run(["groff", "-man", "-ww", "-z"], input=page, text=True,
                              stderr=subprocess.PIPE)
        assert done.stderr == "", command
