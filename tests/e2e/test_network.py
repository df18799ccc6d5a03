"""Every program in a network namespace of its own, on one bridge; packets lost, delayed, and whole
ways cut between each pair of programs that talk.

Needs the right to make namespaces, and `ip`; loss and partitions need `iptables`, delay and heavier
loss the kernel's netem. What is missing is said, and its tests are skipped. PostgreSQL is reached
over its socket in the file system, which namespaces share. The network is made, and taken away
again, in namespaces only: the host's own is not touched.
"""

import contextlib
import ctypes
import datetime
import os
import re
import secrets
import shutil
import subprocess
import time

import pytest

import harness

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
STAGES = ("ingest", "cache", "classify", "regress", "persist")
PAIRS = [("text", "ingest", "cache"), ("text", "cache", "classify"), ("text", "classify", "persist"),
         ("series", "ingest", "regress"), ("series", "regress", "persist"),
         ("text", "persist", "ingest"), ("text", "client", "ingest"), ("text", "cache", "redis")]


def run(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def must(*words):
    done = run(*words)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}"
    return done.stdout


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
        """Nothing passes between the two, and nobody is told. The other one counts what comes."""
        self.rule("-I", other, "INPUT", "-s", self.address[one])
        for chain, way in (("INPUT", "-s"), ("OUTPUT", "-d")):
            self.rule("-A", one, chain, way, self.address[other], "-j", "DROP")

    def heal(self, *hosts):
        for host in hosts:
            for chain in ("INPUT", "OUTPUT"):
                self.rule("-F", host, chain)

    def packets(self, host, chain, *words):
        """How many have met the rules that say so."""
        rules = must("ip", "netns", "exec", self.space(host), "iptables", "-w", "-v", "-S", chain)
        return sum(int(re.search(r" -c (\d+) ", line)[1]) for line in rules.splitlines()
                   if line.startswith("-A") and all(word in line for word in words))

    def come(self, one, other):
        """How many packets have come from the one to the other since they were parted."""
        return self.packets(other, "INPUT", f"-s {self.address[one]}/32")

    def kept_back(self, one, other):
        """How many of either to the other were dropped."""
        return (self.packets(one, "INPUT", f"-s {self.address[other]}/32", "-j DROP") +
                self.packets(one, "OUTPUT", f"-d {self.address[other]}/32", "-j DROP"))

    def lose(self, share):
        """Every host loses that share of what comes in."""
        for host in self.hosts:
            self.rule("-A", host, "INPUT", "-m", "statistic", "--mode", "random", "--probability",
                      str(share), "-j", "DROP")

    def lost(self):
        """How many packets that was so far."""
        return sum(self.packets(host, "INPUT", "--probability", "-j DROP") for host in self.hosts)

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
            "regress.inbox": f"tcp://{at['regress']}:5564",
            "regress.address": f"tcp://{at['regress']}:5564",
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

    def came_back(self, kind):
        """How many batches did."""
        with self.network.inside("ingest"):
            return self.programs["ingest"].metric("leat_ingest_batches_acknowledged_total", kind=kind)

    def send(self, path, kind="text"):
        with self.network.inside("client"):
            return harness.send_in_background(self.endpoint, path, kind=kind,
                                              options=["--timeout", "120"])

    def rows(self, table, key):
        return self.postgres.query(f"SELECT count(*), count(DISTINCT {key}) FROM {table}")[0]

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


def check(spread, n, **senders):
    """All is stored, once, that the senders of `n` records each sent."""
    for kind, sender in senders.items():
        assert harness.finish(sender)["committed"] == n
        assert spread.rows(*STORED[kind]) == (n, n)
    assert spread.postgres.query("SELECT count(*) FROM dead_letters") == [(0,)]
    assert spread.stop() == [0] * len(STAGES)


LOAD = 20000 // harness.PATIENCE
STORED = {"text": ("texts", "id"), "series": ("features_idx", "ts")}


def series_file(path, n):
    """A row of one series every ten seconds."""
    begin = datetime.datetime(2025, 3, 1)
    with open(path, "w") as out:
        out.write("ts,close\n")
        for i in range(n):
            out.write(f"{begin + datetime.timedelta(seconds=10 * i)},{1 + i % 100 / 1000}\n")
    return path


class Loads:
    """One of each kind, begun anew when it is through."""

    SIZE = LOAD * 4

    def __init__(self, spread, folder):
        self.spread = spread
        self.files = {"text": harness.texts_file(folder / "load.ndjson", range(self.SIZE)),
                      "series": series_file(folder / "load.csv", self.SIZE)}
        self.senders = {}

    def keep_on(self, kind):
        if kind in self.senders:
            if self.senders[kind].poll() is None:
                return
            assert harness.finish(self.senders[kind])["committed"] == self.SIZE
        seen = self.spread.came_back(kind)
        self.senders[kind] = self.spread.send(self.files[kind], kind)
        harness.until(f"a load of {kind} is on", lambda: self.spread.came_back(kind) > seen)

    def wait_for_more(self, kind, why, seconds):
        seen = self.spread.came_back(kind)

        def more():
            self.keep_on(kind)  # of a load that is through nothing comes any more
            return self.spread.came_back(kind) > seen

        harness.until(f"something of {kind} comes back after {why}", more, seconds)

    def check(self):
        check(self.spread, self.SIZE, **self.senders)


@pytest.fixture
def loads(spread, folder):
    return Loads(spread, folder)


def part_all(filters, pairs, seconds):
    """Parts the pairs for so long, and sees to it that nothing passes; how many packets each of them
    would have sent."""
    for one, other in pairs:
        filters.part(one, other)

    def come():
        return [filters.come(one, other) for one, other in pairs]

    before = harness.until("nothing is on the way any more", lambda: (now := come()) == come() and now)
    time.sleep(seconds)  # the partition itself
    assert come() == before
    dropped = [filters.kept_back(one, other) for one, other in pairs]
    filters.heal(*filters.hosts)
    return dropped


def test_every_way_is_parted_and_heals(filters, loads):
    """Each pair in turn, for longer than what decides there is at its usual pace."""
    for kind, one, other in PAIRS:
        def is_parted_while_they_talk():
            loads.keep_on(kind)
            return part_all(filters, [(one, other)], 3) != [0]

        harness.until(f"{one} and {other} are parted while they talk", is_parted_while_they_talk)
        loads.wait_for_more(kind, f"{one} and {other} were parted", 40)
    loads.check()


def test_a_minute_without_a_network_is_soon_over(filters, loads):
    """All pairs at once. TCP alone would try again only after another forty seconds."""
    for kind in STORED:
        loads.keep_on(kind)
    dropped = part_all(filters, [pair for _, *pair in PAIRS], 60)
    assert sum(dropped) > 0
    for kind in STORED:
        loads.wait_for_more(kind, "a minute without a network", 30)
    loads.check()


def test_lost_packets_lose_no_records(filters, spread, folder):
    filters.lose(0.02)
    check(spread, LOAD, text=spread.send(harness.texts_file(folder / "load.ndjson", range(LOAD))))
    assert filters.lost() > 0


def test_a_slow_and_lossy_network_loses_no_records(spread, folder):
    done = run("tc", "-n", spread.network.space("client"), "qdisc", "add", "dev", "eth0", "root",
               "netem", "delay", "1ms")
    if done.returncode != 0:
        pytest.skip(f"the kernel has no netem: {done.stdout.strip()}")
    spread.network.netem("delay", "40ms", "20ms", "loss", "3%")
    check(spread, LOAD, text=spread.send(harness.texts_file(folder / "load.ndjson", range(LOAD))))
