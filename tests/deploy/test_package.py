"""The Debian package, installed and run in a clean container."""

import json
import re
import shutil

import pytest

from deployment import ROOT, run, until

SCRIPT = r"""
set -eu
apt-get update -q >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends /debs/*.deb >/dev/null
test -e /lib/systemd/system/leat.service -o -e /usr/lib/systemd/system/leat.service
getent passwd leat
test "$(stat -c %U /var/lib/leat)" = leat
leat --version
leat-persist --version
cd /tmp
leat run --data /tmp/data 2>/tmp/log & running=$!
until leat health 127.0.0.1:9550 >/dev/null 2>&1; do
    kill -0 $running || { cat /tmp/log; exit 1; }
    sleep 0.1
done
leat send --json --wait committed /sample/texts.ndjson 2>/dev/null | tail -n 1
kill $running
wait $running
dpkg -r leat libleat-dev libleat0 >/dev/null
test ! -e /usr/bin/leat
test -e /etc/leat/leat.conf
dpkg -P leat >/dev/null
test ! -e /etc/leat
echo finished
"""


@pytest.fixture(scope="module")
def packages():
    if not shutil.which("dpkg-buildpackage") or not shutil.which("dh"):
        pytest.skip("dpkg-dev and debhelper are not installed")
    run("make", "deb", timeout=1800)
    return ROOT / "build" / "deb"


def test_packages_are_built(packages):
    names = {re.sub(r"_.*", "", path.name) for path in packages.glob("*.deb")}
    assert names >= {"leat", "libleat0", "libleat-dev"}


def test_lintian_has_no_complaint(packages):
    if not shutil.which("lintian"):
        pytest.skip("lintian is not installed")
    done = run("lintian", "--fail-on", "error,warning", "--allow-root", *packages.glob("*.changes"), check=False)
    assert done.returncode == 0, done.stdout


def test_the_package_works_in_a_clean_system(packages, engine, folder):
    debs = folder / "debs"
    debs.mkdir(mode=0o755)
    for path in packages.glob("*.deb"):
        if "dbgsym" not in path.name:
            shutil.copy(path, debs)
    done = run("docker", "run", "--rm", "-v", f"{debs}:/debs:ro", "-v", f"{ROOT}/tests/data/sample:/sample:ro",
               "debian:bookworm-slim", "sh", "-c", SCRIPT, timeout=900)
    assert '"committed":238' in done.stdout and done.stdout.endswith("finished\n"), done.stdout + done.stderr


SYSTEMD = """
FROM debian:bookworm-slim
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \\
    systemd systemd-sysv dbus postgresql && rm -rf /var/lib/apt/lists/*
STOPSIGNAL SIGRTMIN+3
CMD ["/lib/systemd/systemd"]
"""


@pytest.fixture(scope="module")
def machine(packages, engine):
    """A container with systemd in charge and the package installed; what runs a command in it."""
    name = "leat-test-machine"
    run("docker", "build", "-q", "-t", name, "-", input=SYSTEMD, timeout=900)
    run("docker", "rm", "-f", name, check=False)
    started = run("docker", "run", "-d", "--name", name, "--cap-add", "SYS_ADMIN", "--security-opt",
                  "seccomp=unconfined", "--cgroupns=host", "--tmpfs", "/run", "--tmpfs", "/run/lock",
                  "--tmpfs", "/tmp:exec", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw", name, check=False)

    def inside(*words, **more):
        return run("docker", "exec", "-i", name, *words, **more)

    try:
        if started.returncode != 0:
            pytest.skip("this engine starts no container that may run systemd")
        try:
            until("systemd is up", lambda: inside("systemctl", "is-system-running", check=False).stdout.strip()
                  in ("running", "degraded"), 60)
        except AssertionError:
            pytest.skip("systemd does not come up in a container here")
        deb = next(packages.glob("leat_*.deb"))
        run("docker", "cp", deb, f"{name}:/root/leat.deb")
        inside("apt-get", "update", "-q", timeout=600)
        inside("apt-get", "install", "-y", "-q", "--no-install-recommends", "/root/leat.deb", timeout=600)
        yield inside
    finally:
        run("docker", "rm", "-fv", name, check=False)


def committed(inside, *options):
    sample = (ROOT / "tests/data/sample/texts.ndjson").read_bytes().decode("latin-1")
    told = json.loads(inside("leat", "send", "--json", *options, "-", input=sample).stdout.splitlines()[-1])
    assert told["error"] is None
    return told["committed"]


def is_ready(inside, *addresses):
    return inside("leat", "health", *addresses, check=False).returncode == 0


def ended_well(inside, *units):
    return all("Result=success" in inside("systemctl", "show", "-p", "Result", unit).stdout for unit in units)


def test_the_unit_of_all_in_one_runs_in_its_box(machine):
    machine("systemctl", "start", "leat.service")
    until("it is ready", lambda: is_ready(machine, "127.0.0.1:9550"))
    count = committed(machine)
    shown = machine("leat", "stats", "--data", "/var/lib/leat/run").stdout
    assert f"{count} texts in SQLite" in shown and count > 200
    machine("systemctl", "stop", "leat.service")
    assert ended_well(machine, "leat.service")


def test_the_units_of_the_stages_run_in_theirs(machine):
    machine("su", "postgres", "-c", "createuser leat && createdb --owner leat leat")
    machine("systemctl", "start", "leat-stages.target", "leat-classify@2")
    until("all are ready", lambda: is_ready(
        machine, "127.0.0.1:9550", "127.0.0.1:9551", "127.0.0.1:9552", "127.0.0.1:9553", "127.0.0.1:9554",
        "127.0.0.2:9552"))
    count = committed(machine)
    stored = machine("su", "postgres", "-c", "psql -Atc 'SELECT count(*) FROM texts' leat").stdout
    assert int(stored) == count
    machine("systemctl", "stop", "leat-stages.target")
    units = ["leat-ingest", "leat-cache@1", "leat-classify@1", "leat-classify@2", "leat-regress@1", "leat-persist@1"]
    until("all have ended", lambda: all(
        machine("systemctl", "is-active", unit, check=False).stdout.strip() == "inactive" for unit in units))
    assert ended_well(machine, *units)


def test_the_units_use_keys(machine):
    """As deploy/README.md has it. The folder is root's otherwise, and a client's key made later too."""
    keys = "/etc/leat/keys"
    machine("leat", "keys", "--dir", keys)
    machine("chown", "-R", "leat:", keys)
    machine("tee", "-a", "/etc/leat/leat.conf", input=f"security.keys = {keys}\n")
    machine("leat", "keys", "client", "hub", "--dir", keys)
    machine("systemctl", "start", "leat-stages.target")
    until("all are ready", lambda: is_ready(
        machine, "127.0.0.1:9550", "127.0.0.1:9551", "127.0.0.1:9552", "127.0.0.1:9553", "127.0.0.1:9554"))
    refused = machine("leat", "send", "-", input='{"text": "what a day"}\n', check=False)
    assert refused.returncode == 1 and "none were given" in refused.stderr
    assert committed(machine, "--keys", f"{keys}/handout/hub") > 200
    machine("systemctl", "stop", "leat-stages.target")
