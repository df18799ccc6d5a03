"""Real processes for end-to-end tests: Leat's programs, PostgreSQL, Redis.

Everything is private to a temporary folder and a set of free ports, and ends with the test. Nothing
here waits for luck: every wait is for a condition, with a deadline.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import types
import urllib.error
import urllib.request

import msgpack
import psycopg2
import zmq

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TEST_BUILD", ROOT / "build")).resolve()
BIN = BUILD / "bin"
EXAMPLES = BUILD / "examples"
SAMPLE = ROOT / "tests" / "data" / "sample"

sys.path += [str(ROOT / "tests"), str(ROOT / "proto" / "examples")]
import example  # noqa: E402
import sanitizers  # noqa: E402

for _name, _value in sanitizers.ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

# Sanitized programs are several times slower.
PATIENCE = 4 if BUILD.name.endswith("san") else 1


def until(what, condition, seconds=30):
    """Waits until condition() is true and returns its value."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds * PATIENCE} s: {what}")
        time.sleep(0.02)


_handed_out = set()


def free_port():
    """A port of 127.0.0.1 that nobody uses, outside the range of outgoing connections."""
    while True:
        with socket.socket() as probe:
            port = 15000 + int.from_bytes(os.urandom(2), "little") % 15000
            if port in _handed_out:
                continue
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _handed_out.add(port)
            return port


def http(address, path):
    """Status and body of a GET; (0, reason) when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5 * PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


class Program:
    """One running program of Leat, with its log in a file."""

    def __init__(self, folder, name, *arguments, http_address=None, environment=None):
        self.name = name
        self.http_address = http_address
        self.killed = False
        number = len(list(folder.glob(f"{name}*.log")))
        self.log_path = folder / f"{name}{number or ''}.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [BIN / name, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
                cwd=folder,
            )

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_ready(self, seconds=30):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.log()}")
            return http(self.http_address, "/readyz")[0] == 200

        until(f"{self.name} is ready", ready, seconds)
        return self

    def metric(self, name, **labels):
        """The sum of all values of a metric whose labels include these."""
        total, found = 0.0, False
        for line in http(self.http_address, "/metrics")[1].splitlines():
            if line.startswith("#") or " " not in line:
                continue
            key, value = line.rsplit(" ", 1)
            if key.split("{")[0] == name and all(f'{k}="{v}"' in key for k, v in labels.items()):
                total, found = total + float(value), True
        return total if found else None

    def anonymous_mb(self):
        """Anonymous resident memory (RssAnon) of the program and its children, the largest, MB."""
        return max(rss_anon(pid) for pid in [self.pid, *children(self.pid)]) / 1024

    def kill(self):
        self.killed = True
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=60):
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end:\n{self.log()[-4000:]}")

    def memory_error(self):
        return sanitizers.reported(self.process.returncode, self.log())

    def check_sanitizers(self):
        assert not self.memory_error(), f"{self.name}:\n{self.log()}"


def close_all(programs):
    """Ends programs, in this order. All that ever ran must have ended well, or by a kill of the
    test's, and none have told of a memory error."""
    running = [program for program in programs if program.process.poll() is None]
    late = []
    try:
        for program in running:
            program.process.send_signal(signal.SIGCONT)
        for program in running:
            try:
                program.stop()
            except AssertionError as problem:
                late.append(str(problem))
    finally:
        for program in running:
            if program.process.poll() is None:
                program.kill()
    assert not late, "\n".join(late)
    for program in programs:
        status = program.process.returncode
        well = status in (0, 3) or (program.killed and status == -signal.SIGKILL)
        assert well, f"{program.name} ended with {status}:\n{program.log()}"
        program.check_sanitizers()


def children(pid):
    with contextlib.suppress(OSError):
        tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
        return [int(c) for task in tasks for c in (task / "children").read_text().split()]
    return []


def rss_anon(pid):
    """kB; 0 when the process is gone."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    return 0


def state(pid):
    """The letter of /proc/PID/stat: R, S, D, T, Z, ...; "" when there is no such process."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    return ""


def end_cleanly(seconds=0):
    """SIGTERM, and after so many seconds an alarm, end this program by way of its clean-up."""
    def end(number, _):
        for one in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(one, signal.SIG_IGN)
        sys.exit("not done in time" if number == signal.SIGALRM else "told to end")

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)


class Postgres:
    """A private PostgreSQL, made and ended by tests/postgres."""

    def __init__(self, folder, *settings):
        self.folder = folder
        self.settings = settings
        self.conninfo = self._run("start", *settings)

    def _run(self, action, *settings):
        done = subprocess.run(
            [ROOT / "tests" / "postgres", action, self.folder, *settings],
            stdout=subprocess.PIPE, text=True, check=True,
        )
        return done.stdout.strip()

    def crash(self):
        self._run("crash")

    def start(self):
        self._run("start", *self.settings)

    def close(self):
        self._run("stop")

    def query(self, sql, *parameters):
        with contextlib.closing(psycopg2.connect(self.conninfo)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall() if cursor.description else None


class Standby(Postgres):
    """A hot standby of another PostgreSQL, whose commits wait for it from now on."""

    def __init__(self, folder, primary):
        self.folder = folder
        self.settings = ()
        self.conninfo = self._run("standby", primary.conninfo)
        primary.query("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.query("SELECT pg_reload_conf()")
        until("commits wait for the standby", lambda: primary.query(
            "SELECT sync_state FROM pg_stat_replication") == [("sync",)])

    def promote(self):
        self._run("promote")


class Redis:
    """A private Redis on a port of its own."""

    def __init__(self, folder):
        self.port = free_port()
        self.folder = folder
        self.process = None
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--dir", str(self.folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )
        until("redis answers", lambda: self.command("PING").startswith("+PONG"))

    def command(self, *words):
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.port), 5) as link:
                link.sendall((" ".join(words) + "\r\n").encode())
                return link.recv(65536).decode(errors="replace")
        return ""

    def keys(self):
        return int(self.command("DBSIZE")[1:].strip())

    def kill(self):
        self.process.kill()
        self.process.wait()

    close = kill


class Embedded:
    """`leat run` on a data folder of its own."""

    def __init__(self, folder, *arguments, environment=None):
        self.folder = folder
        self.data = folder / "data"
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.oneway = f"tcp://127.0.0.1:{free_port()}"
        self.arguments = arguments
        self.environment = environment
        self.programs = []  # all that ever ran
        self.start()

    def start(self):
        address = f"127.0.0.1:{free_port()}"
        self.program = Program(
            self.folder, "leat", "run", "--data", self.data, "--listen", self.endpoint,
            "--oneway", self.oneway, "--set", f"run.http={address}", *self.arguments,
            http_address=address, environment=self.environment,
        )
        self.programs.append(self.program)
        try:
            self.program.wait_ready()
        except BaseException:
            self.program.kill()
            raise

    def query(self, sql, *parameters):
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/leat.db?mode=ro", uri=True)) as db:
            return db.execute(sql, parameters).fetchall()

    def close(self):
        close_all(self.programs)


class Cluster:
    """Separate processes with PostgreSQL and Redis: ingest, and as many of each stage as asked."""

    STAGES = ("cache", "classify", "regress", "persist")

    def __init__(self, folder, postgres, redis, settings=None, **counts):
        self.folder = folder
        self.postgres, self.redis = postgres, redis
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.oneway = f"tcp://127.0.0.1:{free_port()}"
        self.counts = {stage: counts.get(stage, 1) for stage in self.STAGES}
        self.ports = {
            stage: [(free_port(), free_port()) for _ in range(n)] for stage, n in self.counts.items()
        }
        self.settings = {
            "ingest.listen": self.endpoint,
            "ingest.oneway": self.oneway,
            "journal.dir": folder / "journal",
            "cache.url": redis.url if redis else "memory:",
            "store.url": postgres.conninfo if postgres else f"sqlite:{folder}/leat.db",
            "peers.refresh": "1s",
            **{f"{stage}.address": self._addresses(stage, 0) for stage in self.STAGES},
            "cache.results_address": self._addresses("cache", 1),
            "persist.acks_address": self._addresses("persist", 1),
            **(settings or {}),
        }
        self.programs = {}
        self.ever = []  # all that ever ran, also those that others have replaced
        try:
            for stage in ("persist", "regress", "classify", "cache"):
                for i in range(self.counts[stage]):
                    self.start(stage, i)
            self.start("ingest")
            self.wait_ready()
        except BaseException:
            for program in self.ever:
                program.kill()
            raise

    def _addresses(self, stage, which):
        return ",".join(f"tcp://127.0.0.1:{ports[which]}" for ports in self.ports[stage])

    def start(self, stage, i=0):
        own = {f"{stage}.http": f"127.0.0.1:{free_port()}"}
        if stage in self.ports:
            inbox, second = self.ports[stage][i]
            own[f"{stage}.inbox"] = f"tcp://127.0.0.1:{inbox}"
            if stage == "cache":
                own["cache.results"] = f"tcp://127.0.0.1:{second}"
            if stage == "persist":
                own["persist.acks"] = f"tcp://127.0.0.1:{second}"
        arguments = []
        for name, value in {**self.settings, **own}.items():
            arguments += ["--set", f"{name}={value}"]
        program = Program(self.folder, f"leat-{stage}", *arguments,
                          http_address=own[f"{stage}.http"])
        self.programs[stage, i] = program
        self.ever.append(program)
        return program

    def __getitem__(self, stage):
        return self.programs[stage if isinstance(stage, tuple) else (stage, 0)]

    def wait_ready(self):
        for program in self.programs.values():
            program.wait_ready()

    def endpoints(self):
        """[(address, the type of a socket that fits there)] of all that speak ZeroMQ, of one instance
        of each stage."""
        return [(self.endpoint, zmq.DEALER), (self.oneway, zmq.PUSH),
                *((f"tcp://127.0.0.1:{self.ports[stage][0][0]}", zmq.PUSH) for stage in self.STAGES),
                (f"tcp://127.0.0.1:{self.ports['cache'][0][1]}", zmq.PUSH),
                (f"tcp://127.0.0.1:{self.ports['persist'][0][1]}", zmq.XSUB)]

    def query(self, sql, *parameters):
        return self.postgres.query(sql, *parameters)

    def close(self):
        names = [f"leat-{stage}" for stage in ("ingest", *self.STAGES)]
        close_all(sorted(self.ever, key=lambda program: names.index(program.name)))


def leat(*arguments, input=None, check=False, environment=None, timeout=300):
    """Runs one command of `leat` to its end. A memory error is never the failure that is expected."""
    done = subprocess.run(
        [BIN / "leat", *map(str, arguments)], input=input, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=not isinstance(input, bytes), timeout=timeout * PATIENCE,
        env={**os.environ, **(environment or {})},
    )
    err = done.stderr if isinstance(done.stderr, str) else done.stderr.decode(errors="replace")
    assert not sanitizers.reported(done.returncode, err), f"leat {arguments}: {done.returncode}\n{err}"
    if check:
        assert done.returncode == 0, f"leat {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def send_words(endpoint, kind, wait, options):
    """The arguments of `leat send --json`. Unless told, it does not give up before its test does."""
    words = ["send", "--to", endpoint, "--kind", kind, "--wait", wait, "--json", *options]
    return words if "--timeout" in words else [*words, "--timeout", str(180 * PATIENCE)]


def send(endpoint, *files, wait="committed", options=(), check=True, input=None, timeout=300):
    """`leat send --json`; the object that it prints last."""
    done = leat(*send_words(endpoint, "text", wait, options), *files, input=input, check=check,
                timeout=timeout)
    lines = done.stdout.strip().splitlines()
    assert lines, done.stderr
    return json.loads(lines[-1])


def send_in_background(endpoint, path, wait="committed", options=(), stdin=subprocess.DEVNULL,
                       kind="text"):
    """`leat send --json` as a process of its own, to be finished with finish()."""
    return subprocess.Popen(
        [BIN / "leat", *send_words(endpoint, kind, wait, options), str(path)],
        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(sender, seconds=180):
    """What a sender in the background told; it must have ended well."""
    out, err = sender.communicate(timeout=seconds * PATIENCE)
    assert sender.returncode == 0, out + err
    return json.loads(out.strip().splitlines()[-1])


@contextlib.contextmanager
def client_of(endpoint, name=None):
    """A client whose sends are as large as they are made, and wait for nothing."""
    client = example.Client(endpoint, name)
    try:
        assert client.wait(lambda: client.session, 10 * PATIENCE)
        yield client
    finally:
        client.socket.close(linger=0)


def packed(ids, text="a fine text"):
    """Records for a send of a client."""
    return [msgpack.packb({"id": i, "text": text}) for i in ids]


def texts(cluster):
    """How many rows of texts there are."""
    return cluster.query("SELECT count(*) FROM texts")[0][0]


def count(cluster):
    """Rows and distinct ids."""
    return cluster.query("SELECT count(*), count(DISTINCT id) FROM texts")[0]


def counter(program, name, **labels):
    """A metric; one that nobody tells is 0."""
    return program.metric(name, **labels) or 0


def set_store_down(cluster, postgres):
    postgres.crash()
    until("persist says that the store is away",
          lambda: http(cluster["persist"].http_address, "/readyz")[0] == 503)


def some_rows(cluster):
    until("some rows are there", lambda: texts(cluster) > 0)


TEXT = "text number {i}: what a good day"


def texts_lines(ids, text=TEXT):
    """NDJSON with one text for every id."""
    return "".join(json.dumps({"id": f"t{i}", "text": text.format(i=i)}) + "\n" for i in ids)


def texts_file(path, ids, text=TEXT):
    """A file of texts_lines."""
    path.write_text(texts_lines(ids, text))
    return path


LOAD = 60000 // PATIENCE


@contextlib.contextmanager
def load(cluster, text=TEXT):
    """Texts t0, t1, ... for as long as the block lasts, and LOAD of them at least: these as fast as it
    goes, then a few at a time. The block begins when some are stored; when it is left, all must be
    committed. `n` of what this gives is their number then."""
    fed, left = types.SimpleNamespace(n=0), threading.Event()
    sender = send_in_background(cluster.endpoint, "-", stdin=subprocess.PIPE)

    def feed():
        with contextlib.suppress(BrokenPipeError):  # finish() tells why
            while fed.n < LOAD or not left.wait(0.01):
                sender.stdin.write(texts_lines(range(fed.n, fed.n + 20), text))
                fed.n += 20

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        some_rows(cluster)
        yield fed
    except BaseException:
        sender.kill()
        raise
    finally:
        left.set()
        feeder.join()
    assert finish(sender)["committed"] == fed.n


@contextlib.contextmanager
def folder():
    """A temporary folder that every user may enter (PostgreSQL runs as another one)."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="leat-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
