"""The Debian package, installed and run in a clean container."""

import re
import shutil

import pytest

from deployment import ROOT, run

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
