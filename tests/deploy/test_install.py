"""`make install` and what a program that uses the client library finds."""

import re
import shutil
import subprocess

import pytest

from deployment import ROOT, run


def declared():
    """Functions of the headers that are installed."""
    text = "".join((ROOT / "proto" / name).read_text() for name in ("leat.h", "error.h"))
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return set(re.findall(r"^[a-z][\w ]*[ *](leat_\w+)\(", text, re.M))


@pytest.fixture(scope="module")
def installed(folder):
    """A tree as `make install DESTDIR=… PREFIX=/usr` makes it."""
    if not shutil.which("pkg-config") or run("pkg-config", "--exists", "libzmq", "lmdb", "libpq",
                                             check=False).returncode != 0:
        pytest.skip("the packages for building are not installed (make deps)")
    run("make", "-j2", "install", f"DESTDIR={folder}/root", "PREFIX=/usr", timeout=1800)
    return folder / "root"


def files(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def test_all_of_it_is_installed(installed):
    there = files(installed)
    for name in ("leat", "leat-ingest", "leat-cache", "leat-classify", "leat-regress", "leat-persist"):
        assert f"usr/bin/{name}" in there and f"usr/share/man/man1/{name}.1" in there
    for name in ("lib/libleat.a", "lib/libleat.so", "lib/libleat.so.0", "lib/pkgconfig/leat.pc",
                 "include/leat.h", "include/leat/error.h", "share/leat/default.model",
                 "share/leat/default.json", "share/leat/topics.json", "share/man/man5/leat.conf.5",
                 "lib/systemd/system/leat.service", "lib/systemd/system/leat-classify@.service"):
        assert f"usr/{name}" in there, name
    assert "etc/leat/leat.conf" in there
    for unit in installed.glob("usr/lib/systemd/system/*"):
        assert "@BINDIR@" not in unit.read_text() and "@SYSCONFDIR@" not in unit.read_text()


def test_the_installed_program_finds_its_model_and_settings(installed, folder):
    config = installed / "etc/leat/leat.conf"
    shown = run(installed / "usr/bin/leat", "config", "--config", config, "store.url").stdout
    assert "host=/run/postgresql dbname=leat" in shown
    data = folder / "data"
    running = subprocess.Popen(
        [installed / "usr/bin/leat", "run", "--data", data, "--listen", f"ipc://{folder}/door",
         "--oneway", "", "--set", "run.http="], stderr=subprocess.PIPE, text=True)
    try:
        sample = ROOT / "tests/data/sample/texts.ndjson"
        told = run(installed / "usr/bin/leat", "send", "--json", "--to", f"ipc://{folder}/door", sample).stdout
        assert '"error":null' in told
    finally:
        running.terminate()
        assert running.wait(60) == 0, running.stderr.read()


def test_every_command_has_its_man_page(installed):
    told = run(installed / "usr/bin/leat", "help").stdout
    commands = re.findall(r"^  ([a-z]+) ", told[told.index("Commands"):told.index("To begin")], re.M)
    overview = (installed / "usr/share/man/man1/leat.1").read_text()
    assert len(commands) > 5
    for command in commands:
        assert (installed / f"usr/share/man/man1/leat-{command}.1").exists(), command
        assert f"leat\\-{command} (1)" in overview, command


def test_every_manual_is_a_man_page(installed):
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    pages = list(installed.glob("usr/share/man/man?/*"))
    assert len(pages) > 10
    for page in pages:
        done = subprocess.run(["groff", "-k", "-man", "-ww", "-z", page], cwd=installed / "usr/share/man",
                              stderr=subprocess.PIPE, text=True)
        # A line with a long value may not be broken well; everything else is a mistake.
        wrong = [line for line in done.stderr.splitlines() if "can't break line" not in line]
        assert not wrong, wrong


def test_the_library_offers_its_headers_and_nothing_else(installed):
    shared = run("nm", "-D", "--defined-only", installed / "usr/lib/libleat.so").stdout
    assert set(re.findall(r" T (\w+)@@LEAT_0", shared)) == declared()
    static = run("nm", "-g", "--defined-only", installed / "usr/lib/libleat.a").stdout
    assert set(re.findall(r" [TDBR] (\w+)", static)) == declared()
    needed = run("readelf", "-d", installed / "usr/lib/libleat.so").stdout
    assert set(re.findall(r"NEEDED.*\[(\w+)\.so", needed)) == {"libzmq", "libmsgpackc", "libc"}


# As C and as C++.
PROGRAM = """
#include <leat.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    static struct leat_options options;
    struct leat_error err;
    options.endpoints = argv[argc - 1];
    options.connect_ms = 200;
    struct leat_client *client = leat_connect(&options, &err);
    puts(client ? "connected" : err.text);
    leat_disconnect(&client);
    return 0;
}
"""


@pytest.mark.parametrize("compiler,language", [("cc", "c"), ("c++", "c++")])
@pytest.mark.parametrize("link", ["shared", "static"])
def test_a_program_is_built_by_pkg_config(installed, folder, compiler, language, link):
    if language == "c++" and not shutil.which(compiler):
        pytest.skip("no C++ compiler")
    source = folder / ("client.c" if language == "c" else "client.cc")
    source.write_text(PROGRAM)
    environment = {"PKG_CONFIG_SYSROOT_DIR": str(installed), "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1",
                   "PKG_CONFIG_PATH": f"{installed}/usr/lib/pkgconfig"}
    flags = run("pkg-config", "--cflags", "--libs", "leat", env=environment).stdout.split()
    if link == "static":
        # The archive's name, and what it needs, from Debian's own files.
        flags = [f for f in flags if f != "-lleat"] + ["-l:libleat.a"]
        flags += run("pkg-config", "--libs", "libzmq", "msgpack").stdout.split()
    program = folder / f"client-{link}-{language}"
    run(compiler, source, "-o", program, *flags)
    done = run(program, "tcp://127.0.0.1:1", env={"LD_LIBRARY_PATH": str(installed / "usr/lib")})
    assert "127.0.0.1:1" in done.stdout
    linked = run("ldd", program, env={"LD_LIBRARY_PATH": str(installed / "usr/lib")}).stdout
    assert ("libleat.so.0" in linked) == (link == "shared")


def test_settings_that_are_there_stay(installed):
    config = installed / "etc/leat/leat.conf"
    before = config.read_text()
    config.write_text(before + "log.level = warn\n")
    run("make", "install", f"DESTDIR={installed}", "PREFIX=/usr", timeout=1800)
    assert config.read_text().endswith("log.level = warn\n")


def test_uninstall_leaves_nothing_but_settings(installed):
    run("make", "uninstall", f"DESTDIR={installed}", "PREFIX=/usr")
    assert files(installed) == {"etc/leat/leat.conf"}
