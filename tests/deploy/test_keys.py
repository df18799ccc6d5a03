"""Who may talk to a deployment: keys are made, kept, handed out and taken back."""

import json
import os
import shutil
import time

import pytest

from deployment import IMAGE, free_port, run, until

STAGES = ("ingest", "cache", "classify", "regress", "persist")


def keys_of(deployed):
    """All that is in the volume: name, mode, owner and content."""
    return run("docker", "run", "--rm", "-u", "0", "-v", f"{deployed.project}_keys:/keys:ro", "debian:bookworm-slim",
               "sh", "-c", "cd /keys && find . -type f -exec stat -c '%n %a %u' {} + | sort && "
               "find . -type f -exec sha256sum {} + | sort").stdout


def send(port, *options):
    """One text from a client outside, whose folder of keys is mounted where `options` say: what it
    tells in the end (None when it is not let in), what it complained of, and the seconds it took."""
    began = time.monotonic()
    done = run("docker", "run", "--rm", "-i", "--network", "host", "-u", f"{os.getuid()}", *options, IMAGE,
               "leat", "send", "--json", "--to", f"tcp://127.0.0.1:{port}", "-", check=False, timeout=60,
               input='{"id": "key%d", "text": "what a day"}\n' % time.monotonic_ns())
    told = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode == 0) == (told["error"] is None), (done.stdout, done.stderr)
    return None if told["error"] else told, done.stderr, time.monotonic() - began


def with_keys(folder):
    return "-v", f"{folder}:/mine:ro", "-e", "LEAT_SECURITY_KEYS=/mine"


@pytest.fixture(scope="module")
def handed_out(deployed, folder):
    """What README says: two commands, and the folder is the client's."""
    deployed.compose("run", "--rm", "keys", "leat", "keys", "client", "hub")
    run("docker", "cp", f"{deployed.containers('ingest')[0]}:/keys/handout/hub", folder / "hub-keys")
    return folder / "hub-keys"


def test_the_first_start_makes_keys_that_nobody_else_can_read(deployed):
    listed = [line.split() for line in keys_of(deployed).splitlines() if " 10001" in line]
    modes = {name: mode for name, mode, _ in listed}
    assert {"./server.key", "./service.key", "./services/service.pub", "./clients/client.pub"} <= set(modes)
    assert all(mode == "600" for name, mode in modes.items() if name.endswith(".key"))
    mode = run("docker", "run", "--rm", "-v", f"{deployed.project}_keys:/keys:ro", "debian:bookworm-slim",
               "stat", "-c", "%a %u", "/keys").stdout
    assert mode.split() == ["700", "10001"]


def test_another_start_keeps_them(deployed):
    before = keys_of(deployed)
    deployed.compose("restart", "-t", "60")
    deployed.up(classify=2)
    deployed.compose("down", "-t", "60")
    deployed.up()
    deployed.wait_healthy(*STAGES)
    assert keys_of(deployed) == before


def test_stages_cannot_change_them(deployed):
    done = deployed.compose("exec", "-T", "ingest", "leat", "keys", "client", "intruder", check=False)
    assert done.returncode == 1 and "Read-only" in done.stderr


def test_a_client_without_a_key_is_told_so(deployed):
    told, complaint, took = send(deployed.port)
    assert told is None and "it talks with keys only, and none were given" in complaint
    assert took < 20
    logs = run("docker", "logs", deployed.containers("ingest")[0]).stderr
    assert "one side has keys, the other has none" in logs


def test_a_client_with_a_key_of_its_own_making_is_refused(deployed, handed_out, folder):
    fake = folder / "fake-keys"
    fake.mkdir(mode=0o700)
    run("docker", "run", "--rm", "-u", f"{os.getuid()}", "-v", f"{fake}:/keys", IMAGE, "leat", "keys", "--dir", "/keys")
    told, complaint, took = send(deployed.port, *with_keys(fake))
    assert told is None, "it asks for a server that is not this one"
    shutil.copy(handed_out / "server.pub", fake)
    told, complaint, took = send(deployed.port, *with_keys(fake))
    assert told is None and "not among those that may connect" in complaint


def test_a_client_with_a_handed_out_key_sends(deployed, handed_out):
    before = deployed.count()
    told, complaint, took = send(deployed.port, *with_keys(handed_out))
    assert told["committed"] == 1 and deployed.count() == before + 1


def test_one_line_switches_keys_off(deployed):
    deployed.environment["LEAT_KEYS"] = ""
    try:
        deployed.up()
        deployed.wait_healthy(*STAGES)
        assert send(deployed.port)[0]["committed"] == 1
    finally:
        deployed.environment["LEAT_KEYS"] = "/keys"
    deployed.up()
    deployed.wait_healthy(*STAGES)
    assert send(deployed.port)[0] is None


# --- as Kubernetes mounts them --------------------------------------------------------------------


class Volume:
    """A folder as the kubelet fills it: links through ..data, which is switched as a whole."""

    def __init__(self, path):
        self.path, self.version = path, 0
        path.mkdir()

    def fill(self, *files):
        self.version += 1
        now = self.path / f"..{self.version}"
        now.mkdir()
        for file in files:
            shutil.copyfile(file, now / file.name)
        (self.path / "..new").symlink_to(now.name)
        (self.path / "..new").rename(self.path / "..data")
        for link in self.path.iterdir():
            if link.is_symlink() and link.name != "..data":
                link.unlink()
        for file in files:
            (self.path / file.name).symlink_to(f"..data/{file.name}")
        shutil.rmtree(self.path / f"..{self.version - 1}", ignore_errors=True)


def test_a_mounted_secret_and_a_map_of_clients_do(engine, folder):
    keys, port, name = folder / "leat-keys", free_port(), f"leat-test-mounted-{os.getpid()}"
    keys.mkdir(mode=0o700)
    make = ("docker", "run", "--rm", "-u", f"{os.getuid()}", "-v", f"{keys}:/keys", "-e", "LEAT_SECURITY_KEYS=/keys",
            IMAGE, "leat", "keys")
    run(*make)
    run(*make, "client", "hub")
    services, clients = Volume(folder / "services"), Volume(folder / "clients")
    services.fill(keys / "service.pub")
    clients.fill(keys / "clients/client.pub")
    mounts = []
    for key in ("server.key", "service.key"):
        # root's, and fsGroup's to read
        run("docker", "run", "--rm", "-u", "0", "-v", f"{folder}:/in", "debian:bookworm-slim",
            "install", "-g", "10001", "-m", "440", f"/in/leat-keys/{key}", f"/in/{key}")
        mounts += ["-v", f"{folder / key}:/keys/{key}:ro"]
    run("docker", "run", "-d", "--name", name, "--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp",
        "-p", f"127.0.0.1:{port}:5550", *mounts, "-v", f"{services.path}:/keys/services:ro",
        "-v", f"{clients.path}:/keys/clients:ro", "-v", "/var/lib/leat", "-e", "LEAT_SECURITY_KEYS=/keys",
        IMAGE, "leat", "run", "--data", "/var/lib/leat", "--listen", "tcp://0.0.0.0:5550")
    try:
        until("it answers", lambda: send(port, *with_keys(keys))[0])
        hub = with_keys(keys / "handout/hub")
        assert "not among those that may connect" in send(port, *hub)[1]
        clients.fill(*(keys / "clients").glob("*.pub"))
        assert send(port, *hub)[0]["committed"] == 1, "a client that was added counts at once"
        clients.fill(keys / "clients/client.pub")
        assert send(port, *hub)[0] is None, "one that was removed does not any more"
        assert send(port, *with_keys(keys))[0]["committed"] == 1
    finally:
        run("docker", "rm", "-fv", name, check=False)
