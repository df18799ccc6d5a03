"""Every program in a network namespace of its own, on one bridge; packets lost, delayed, and whole
ways cut between each pair of programs that talk.

Needs the right to make namespaces, and `ip`; loss and partitions need `iptables`, delay and heavier
loss the kernel's netem. What is missing is said, and its tests are skipped. PostgreSQL is reached
over its socket in the file system, which namespaces share. The network is made, and taken away
again, in namespaces only: the host's own is not touched.
"""

import contextlib
import ctypes
import os
import secrets
import shutil
import subprocess
import time

import pytest

import harness

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
STAGES = ("ingest", "cache", "classify", "persist")
PAIRS = [("ingest", "cache"), ("cache", "classify"), ("classify", "persist"),
         ("persist", "ingest"), ("client", "ingest"), ("cache", "redis")]


def run(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def must(*words):
    done = run(*words)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}"


class Network:
    """A bridge in a namespace of its own, and hosts around it, by name."""

    def __init__(self, hosts):
        self.prefix = f"leat{secrets.token_hex(3)}"
        self.hub = f"{self.prefix}-hub"
        self.address = {}
        self.hosts = hosts

    def open(self):
        self.add_namespace(self.hub)
        must("ip", "-n", self.hub, "link", "add", "bridge", "type", "bridge")
        must("ip", "-n", self.hub, "link", "set", "bridge", "up")
        for i, host in enumerate(self.hosts):
            space = self.space(host)
            self.add_namespace(space)
            must("ip", "-n", self.hub, "link", "add", f"p{i}", "type", "veth", "peer", "name",
                 "eth0", "netns", space)
            must("ip", "-n", self.hub, "link", "set", f"p{i}", "master", "bridge", "up")
            self.address[host] = f"10.77.0.{i + 1}"
            must("ip", "-n", space, "address", "add", f"{self.address[host]}/24", "dev", "eth0")
            must("ip", "-n", space, "link", "set", "eth0", "up")

    def add_namespace(self, space):
        must("ip", "netns", "add", space)
        must("ip", "-n", space, "link", "set", "lo", "up")

    def space(self, host):
        return f"{self.prefix}-{host}"

    @contextlib.contextmanager
    def inside(self, host):
        """What this thread opens or starts is in the host's namespace."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.space(host)}", os.O_RDONLY)
        try:
            assert LIBC.setns(there, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert LIBC.setns(home, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        finally:
            os.close(home)
            os.close(there)

    def rule(self, action, host, chain, *words):
        must("ip", "netns", "exec", self.space(host), "iptables", "-w", action, chain, *words)

    def part(self, one, other):
        """Nothing passes between the two, and nobody is told."""
        for chain, way in (("INPUT", "-s"), ("OUTPUT", "-d")):
            self.rule("-A", one, chain, way, self.address[other], "-j", "DROP")

    def heal(self, one):
        for chain in ("INPUT", "OUTPUT"):
            self.rule("-F", one, chain)

    def lose(self, share):
        """Every host loses that share of what comes in."""
        for host in self.hosts:
            self.rule("-A", host, "INPUT", "-m", "statistic", "--mode", "random", "--probability",
                      str(share), "-j", "DROP")

    def netem(self, *words):
        for host in self.hosts:
            must("tc", "-n", self.space(host), "qdisc", "replace", "dev", "eth0", "root", "netem",
                 *words)

    def close(self):
        for space in [*map(self.space, self.hosts), self.hub]:
            run("ip", "netns", "delete", space)


@pytest.fixture(scope="module")
def allowed():
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    if not shutil.which("ip"):
        pytest.skip("iproute2 is not installed")
    name = f"leat{secrets.token_hex(3)}"
    done = run("ip", "netns", "add", name)
    if done.returncode == 0:
        done = run("ip", "-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        run("ip", "netns", "delete", name)
    if done.returncode != 0:
        pytest.skip(f"network namespaces are not permitted here: {done.stdout.strip()}")


@pytest.fixture
def network(allowed):
    made = Network([*STAGES, "redis", "client"])
    try:
        made.open()
        yield made
    finally:
        made.close()


@pytest.fixture
def filters(network):
    """A network whose packets may be dropped."""
    if not shutil.which("iptables"):
        pytest.skip("iptables is not installed")
    done = run("ip", "netns", "exec", network.space("client"), "iptables", "-w", "-A", "INPUT", "-m",
               "statistic", "--mode", "random", "--probability", "0", "-j", "ACCEPT")
    if done.returncode != 0:
        pytest.skip(f"iptables cannot drop packets here: {done.stdout.strip()}")
    network.heal("client")
    return network


class Spread:
    """One program of each stage, each in its own namespace."""

    def __init__(self, folder, network, postgres):
        self.folder, self.network, self.postgres = folder, network, postgres
        self.redis = None
        at = network.address
        self.endpoint = f"tcp://{at['ingest']}:5550"
        self.settings = {
            "ingest.listen": self.endpoint, "ingest.oneway": "",
            "security.insecure": "yes",  # nobody else is on this network
            "journal.dir": folder / "journal", "cache.url": f"redis://{at['redis']}:6379/0",
            "store.url": postgres.conninfo, "peers.refresh": "1s", "persist.retry_most": "1s",
            "cache.inbox": f"tcp://{at['cache']}:5560", "cache.address": f"tcp://{at['cache']}:5560",
            "cache.results": f"tcp://{at['cache']}:5561",
            "cache.results_address": f"tcp://{at['cache']}:5561",
            "classify.inbox": f"tcp://{at['classify']}:5562",
            "classify.address": f"tcp://{at['classify']}:5562",
            "persist.inbox": f"tcp://{at['persist']}:5566",
            "persist.address": f"tcp://{at['persist']}:5566",
            "persist.acks": f"tcp://{at['persist']}:5567",
            "persist.acks_address": f"tcp://{at['persist']}:5567",
        }
        self.programs = {}

    def open(self):
        with self.network.inside("redis"):
            self.redis = subprocess.Popen(
                ["redis-server", "--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no",
                 "--save", "", "--appendonly", "no", "--dir", str(self.folder)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for stage in reversed(STAGES):
            words = []
            for name, value in {**self.settings, f"{stage}.http": "127.0.0.1:9550"}.items():
                words += ["--set", f"{name}={value}"]
            with self.network.inside(stage):
                self.programs[stage] = harness.Program(self.folder, f"leat-{stage}", *words,
                                                       http_address="127.0.0.1:9550")
        for stage, program in self.programs.items():
            with self.network.inside(stage):
                program.wait_ready()

    def metric(self, stage, name):
        with self.network.inside(stage):
            return self.programs[stage].metric(name) or 0

    def send(self, path):
        with self.network.inside("client"):
            return harness.send_in_background(self.endpoint, path, options=["--timeout", "120"])

    def count(self):
        return self.postgres.query("SELECT count(*), count(DISTINCT id) FROM texts")[0]

    def stop(self):
        return [self.programs[stage].stop() for stage in STAGES]

    def close(self):
        try:
            harness.close_all([self.programs[stage] for stage in STAGES if stage in self.programs])
        finally:
            if self.redis:
                self.redis.kill()
                self.redis.wait()


@pytest.fixture
def spread(folder, postgres, network):
    with contextlib.closing(Spread(folder, network, postgres)) as made:
        made.open()
        yield made


def check(spread, sender, n):
    assert harness.finish(sender)["committed"] == n
    assert spread.count() == (n, n)
    assert spread.postgres.query("SELECT count(*) FROM dead_letters") == [(0,)]
    assert spread.stop() == [0, 0, 0, 0]


LOAD = 20000 // harness.PATIENCE


def test_every_way_is_parted_and_heals(filters, spread, folder):
    """Each pair in turn, for longer than what decides there is at its usual pace."""
    sender = None
    for turn, (one, other) in enumerate(PAIRS):
        filters.part(one, other)
        if sender is None:
            sender = spread.send(harness.texts_file(folder / "load.ndjson", range(LOAD * 4)))
        time.sleep(3)  # the partition itself
        filters.heal(one)
        seen = spread.metric("ingest", "leat_ingest_batches_acknowledged_total")
        harness.until(
            f"something comes back after {one} and {other} were parted",
            lambda: sender.poll() is not None or
            spread.metric("ingest", "leat_ingest_batches_acknowledged_total") > seen, 40)
        if sender.poll() is not None and turn + 1 < len(PAIRS):
            assert harness.finish(sender)["rejected"] == 0
            sender = spread.send(harness.texts_file(folder / f"load{turn}.ndjson", range(LOAD * 4)))
    check(spread, sender, LOAD * 4)


def test_lost_packets_lose_no_records(filters, spread, folder):
    filters.lose(0.02)
    check(spread, spread.send(harness.texts_file(folder / "load.ndjson", range(LOAD))), LOAD)


def test_a_slow_and_lossy_network_loses_no_records(spread, folder):
    done = run("tc", "-n", spread.network.space("client"), "qdisc", "add", "dev", "eth0", "root",
               "netem", "delay", "1ms")
    if done.returncode != 0:
        pytest.skip(f"the kernel has no netem: {done.stdout.strip()}")
    spread.network.netem("delay", "40ms", "20ms", "loss", "3%")
    check(spread, spread.send(harness.texts_file(folder / "load.ndjson", range(LOAD))), LOAD)
