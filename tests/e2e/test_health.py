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


def test_another_kind_of_server_is_told_apart():
    with socket.create_server(("127.0.0.1", 0)) as server:
        asking = subprocess.Popen(
            [harness.BIN / "leat", "health", f"127.0.0.1:{server.getsockname()[1]}"],
            stderr=subprocess.PIPE, text=True)
        with server.accept()[0] as link:
            link.recv(4096)
            link.sendall(b"220 mail.example\r\n")
        assert "no HTTP answer" in asking.communicate(timeout=30)[1]
    assert asking.returncode == 1


@pytest.mark.parametrize("words", [[], ["here"], ["--timeout", "soon", "127.0.0.1:1"]])
def test_wrong_words_are_refused(words):
    assert leat("health", *words).returncode in (1, 2)


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_manuals_are_man_pages():
    for command in ("run", "send", "show", "stats", "dead", "config", "train", "health"):
        page = leat("help", "--roff", command, check=True).stdout
        done = subprocess.run(["groff", "-man", "-ww", "-z"], input=page, text=True,
                              stderr=subprocess.PIPE)
        assert done.stderr == "", command
