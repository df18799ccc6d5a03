"""The stack on a real Swarm of one node."""

import json
import os
import subprocess

import pytest

from deployment import ROOT, IMAGE, free_port, run, texts_file, until

STACK = f"leattest{os.getpid()}"


def tasks(service):
    return run("docker", "ps", "-q", "--filter",
               f"label=com.docker.swarm.service.name={STACK}_{service}").stdout.split()


@pytest.fixture(scope="module")
def swarm(engine, folder):
    """A Swarm with the stack on it; one that is there already is left as it is."""
    state = run("docker", "info", "-f", "{{.Swarm.LocalNodeState}}").stdout.strip()
    if state != "inactive":
        pytest.skip(f"this engine's swarm is {state} already")
    run("docker", "swarm", "init", "--advertise-addr", "127.0.0.1")
    port = free_port()
    keys = folder / "leat-keys"
    keys.mkdir(mode=0o700)
    run("docker", "run", "--rm", "-u", f"{os.getuid()}", "-v", f"{keys}:/keys", IMAGE, "leat", "keys", "--dir", "/keys")
    try:
        node = run("docker", "node", "ls", "-q").stdout.strip()
        run("docker", "node", "update", "--label-add", "leat=yes", node)
        settings = {**engine, "LEAT_PORT": str(port), "LEAT_ONEWAY_PORT": str(free_port()),
                    "LEAT_KEYS_DIR": str(keys)}

        def deploy(*more):
            run("docker", "stack", "deploy", "--resolve-image", "never", "-c", "deploy/swarm/stack.yml", *more,
                STACK, env=settings)

        deploy()
        until("all tasks run", lambda: [len(tasks(s)) for s in (
            "ingest", "cache", "classify", "regress", "persist", "postgres", "redis")] == [1, 1, 2, 1, 1, 1, 1], 120)
        yield port, deploy
    finally:
        run("docker", "stack", "rm", STACK, check=False)
        until("the stack is gone", lambda: not run(
            "docker", "ps", "-aq", "--filter", f"label=com.docker.stack.namespace={STACK}").stdout, 120)
        run("docker", "swarm", "leave", "--force")
        for volume in run("docker", "volume", "ls", "-q", "--filter",
                          f"label=com.docker.stack.namespace={STACK}").stdout.split():
            run("docker", "volume", "rm", volume, check=False)


def send_command(port, path, keys="leat-keys"):
    return ["docker", "run", "--rm", "--network", "host", "-u", f"{os.getuid()}", "-v", f"{path.parent}:/in:ro",
            IMAGE, "leat", "send", "--json", "--timeout", "120", "--keys", f"/in/{keys}",
            "--to", f"tcp://127.0.0.1:{port}", f"/in/{path.name}"]


def count():
    return run("docker", "exec", tasks("postgres")[0], "psql", "-U", "leat", "-Atc",
               "SELECT count(*), count(DISTINCT id) FROM texts").stdout.strip()


def test_the_stack_works(swarm, folder):
    port, _ = swarm
    done = run(*send_command(port, texts_file(folder / "first.ndjson", 10000, "first")))
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["committed"] == 10000 and count() == "10000|10000"


def test_stages_are_scaled_while_records_flow(swarm, folder):
    path = texts_file(folder / "more.ndjson", 200000, "more")
    port, _ = swarm
    sending = subprocess.Popen(send_command(port, path), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    run("docker", "service", "scale", f"{STACK}_classify=4", f"{STACK}_persist=2", "--detach")
    until("there are four", lambda: len(tasks("classify")) == 4, 60)
    run("docker", "kill", tasks("classify")[0])
    until("there are four again", lambda: len(tasks("classify")) == 4, 60)
    run("docker", "service", "scale", f"{STACK}_classify=1", f"{STACK}_persist=1", "--detach")
    out, err = sending.communicate(timeout=600)
    told = json.loads(out.splitlines()[-1])
    assert told["committed"] == 200000 and told["error"] is None, err
    assert count() == "210000|210000"


def test_a_further_client_is_a_file_more(swarm, folder):
    """As deploy/README.md has it."""
    port, deploy = swarm
    path = texts_file(folder / "hub.ndjson", 10, "hub")
    run("docker", "run", "--rm", "-u", f"{os.getuid()}", "-v", f"{folder}/leat-keys:/keys", IMAGE,
        "leat", "keys", "client", "hub", "--dir", "/keys")
    refused = run(*send_command(port, path, "leat-keys/handout/hub"), check=False)
    assert refused.returncode == 1 and "not among those that may connect" in refused.stderr
    (folder / "hub.yml").write_text(f"""
version: "3.9"
services: {{ingest: {{configs: [{{source: hub-pub, target: /keys/clients/hub.pub}}]}}}}
configs: {{hub-pub: {{file: {folder}/leat-keys/clients/hub.pub}}}}
""")
    before = tasks("ingest")
    deploy("-c", folder / "hub.yml")
    until("ingest is another one", lambda: len(tasks("ingest")) == 1 and tasks("ingest") != before, 120)
    for keys in ("leat-keys/handout/hub", "leat-keys"):
        done = run(*send_command(port, path, keys))
        assert json.loads(done.stdout.splitlines()[-1])["committed"] == 10
