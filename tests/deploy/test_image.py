"""The image: small, and nothing in it but Leat."""

import json
import re
import subprocess

import pytest

from deployment import IMAGE, ROOT, run

pytestmark = pytest.mark.usefixtures("engine")
PROGRAMS = ["leat", "leat-ingest", "leat-cache", "leat-classify", "leat-regress", "leat-persist"]


def inspect():
    return json.loads(run("docker", "image", "inspect", IMAGE).stdout)[0]


def test_the_image_is_small():
    assert inspect()["Size"] < 120_000_000


def test_the_image_says_what_it_is():
    version = re.search(r"^VERSION := (\S+)", (ROOT / "Makefile").read_text(), re.M).group(1)
    config = inspect()["Config"]
    assert config["Labels"]["org.opencontainers.image.version"] == version
    assert config["Labels"]["org.opencontainers.image.revision"]
    assert config["User"] == "10001:10001"


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_runs_with_no_rights_at_all(program):
    done = run("docker", "run", "--rm", "--read-only", "--cap-drop", "ALL", "--network", "none",
               "--security-opt", "no-new-privileges", IMAGE, program, "--version")
    assert done.stdout.startswith(program + " ")


def test_there_is_no_shell_in_it():
    assert run("docker", "run", "--rm", IMAGE, "sh", "-c", "true", check=False).returncode == 127


def test_the_image_alone_is_a_whole_leat(folder):
    name = "leat-test-alone"
    run("docker", "run", "-d", "--name", name, "--read-only", "--tmpfs", "/tmp", "-v", "/var/lib/leat", IMAGE)
    try:
        sample = (ROOT / "tests/data/sample/texts.ndjson").read_bytes()
        done = subprocess.run(["docker", "exec", "-i", name, "leat", "send", "--json", "-"], input=sample,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        told = json.loads(done.stdout.splitlines()[-1])
        assert told["committed"] == told["accepted"] > 200 and told["error"] is None
        shown = run("docker", "exec", name, "leat", "stats", "--data", "/var/lib/leat").stdout
        assert f"{told['committed']} texts" in shown
        run("docker", "stop", "-t", "45", name)
        assert run("docker", "inspect", "-f", "{{.State.ExitCode}}", name).stdout.strip() == "0"
    finally:
        run("docker", "rm", "-fv", name, check=False)
