"""A deployment by docker-compose, for tests: its own project, ports, volumes, and an end.

Only Docker is used: the client is run from the image, as somebody would who has nothing else.
"""

import contextlib
import functools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGE = "leat-test:latest"


def run(*words, check=True, timeout=600, env=None, cwd=ROOT, **more):
    """Runs a command to its end; its output, stdout and stderr apart."""
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=timeout, cwd=cwd, env={**os.environ, **(env or {})}, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{words}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done


def until(what, condition, seconds=60):
    """Waits until condition() is true and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@functools.cache
def no_engine():
    """Why there is no Docker engine here; None when there is."""
    if not shutil.which("docker"):
        return "no docker program"
    done = run("docker", "info", "--format", "{{.ServerVersion}}", check=False)
    return None if done.returncode == 0 else f"no Docker engine: {done.stderr.strip().splitlines()[-1]}"


@functools.cache
def compose_command():
    """`docker compose`, or docker-compose where the plugin is not installed; None without either."""
    for words in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(words[0]) and run(*words, "version", check=False).returncode == 0:
            return words
    return None


def has_image(name):
    return run("docker", "image", "inspect", name, check=False).returncode == 0


def obtain(official, local, what):
    """The official image where it is there or a registry gives it, else one made from packages."""
    if has_image(official):
        return official
    if not has_image(local):
        with contextlib.suppress(subprocess.TimeoutExpired):
            if run("docker", "pull", "-q", official, check=False, timeout=120).returncode == 0:
                return official
        run("deploy/build-base-images", what, timeout=1800)
    return local


@functools.cache
def images():
    """Builds what is tested and gets what it stands on; the environment that names them."""
    obtain("debian:bookworm-slim", "debian:bookworm-slim", "base")
    run("make", "image", "IMAGE=leat-test", timeout=1800)
    return {
        "LEAT_IMAGE": IMAGE,
        "LEAT_POSTGRES_IMAGE": obtain("postgres:15-bookworm", "leat-postgres:15", "postgres"),
        "LEAT_REDIS_IMAGE": obtain("redis:7-bookworm", "leat-redis:7", "redis"),
        "LEAT_PROMETHEUS_IMAGE": obtain("prom/prometheus:v2.53.4", "leat-prometheus:2", "prometheus"),
    }


class Deployment:
    """`docker compose up` of the tree's own file."""

    def __init__(self, folder, files=("docker-compose.yml",), **environment):
        self.project = f"leattest{os.getpid()}"
        self.files = [word for file in files for word in ("-f", str(file))]
        self.folder = folder
        self.port, self.oneway, self.prometheus = free_port(), free_port(), free_port()
        self.environment = {
            **images(), "LEAT_PORT": str(self.port), "LEAT_ONEWAY_PORT": str(self.oneway),
            "LEAT_PROMETHEUS_PORT": str(self.prometheus),
            # What the engine's user has set must not decide.
            "COMPOSE_FILE": "", "COMPOSE_PROFILES": "", "LEAT_KEYS": "/keys", **environment,
        }

    def compose(self, *words, **more):
        environment = {k: v for k, v in self.environment.items() if v or not k.startswith("COMPOSE")}
        return run(*compose_command(), *self.files, "-p", self.project, *words, env=environment, **more)

    def up(self, *words, **scale):
        flags = [word for stage, n in scale.items() for word in ("--scale", f"{stage}={n}")]
        self.compose("up", "-d", *flags, *words)

    def close(self):
        self.compose("--profile", "watch", "down", "-v", "--remove-orphans", "-t", "60", check=False)

    def containers(self, service):
        """Ids of the running ones."""
        return run("docker", "ps", "-q", "--filter", f"label=com.docker.compose.project={self.project}",
                   "--filter", f"label=com.docker.compose.service={service}").stdout.split()

    def wait_healthy(self, *services, seconds=90):
        def healthy():
            states = [run("docker", "inspect", "-f", "{{.State.Health.Status}}", c).stdout.strip()
                      for s in services for c in self.containers(s)]
            return states and all(state == "healthy" for state in states)

        until(f"{services} are healthy", healthy, seconds)

    def send_command(self, path, *options, kind="text"):
        """From outside, with the key that every deployment has for a first client."""
        return ["docker", "run", "--rm", "--network", "host", "-v", f"{path.parent}:/in:ro",
                "-v", f"{self.project}_keys:/keys:ro", "-e", "LEAT_SECURITY_KEYS=/keys", IMAGE,
                "leat", "send", "--json", "--rejects", "0", "--timeout", "120", "--kind", kind,
                "--to", f"tcp://127.0.0.1:{self.port}", *options, f"/in/{path.name}"]

    def send(self, path, *options):
        """`leat send --json`: what it tells last."""
        done = run(*self.send_command(path, *options), timeout=1800)
        return json.loads(done.stdout.strip().splitlines()[-1])

    def sending(self, path, *options):
        """The same, without waiting for it."""
        return subprocess.Popen(self.send_command(path, *options), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def sql(self, query):
        done = run("docker", "exec", self.containers("postgres")[0], "psql", "-U", "leat", "-d", "leat",
                   "-AtF", "\t", "-c", query)
        return [line.split("\t") for line in done.stdout.splitlines()]

    def count(self, where="true"):
        return int(self.sql(f"SELECT count(*) FROM texts WHERE {where}")[0][0])

    def content(self, where="true"):
        """A digest of all that was found, with how many rows it is of."""
        return self.sql(
            "SELECT count(*), count(DISTINCT id), md5(string_agg(md5(concat_ws('|', id, text, model, "
            "sentiment_label, sentiment_score, emotion_label, emotion_score, emotion_distribution, "
            "emotions, influence_weight, confidence_weight, primary_topic, topics, truncated)), '' "
            f"ORDER BY id)) FROM texts WHERE {where}")[0]

    def metrics(self, service):
        """The text of /metrics of every instance; asked in the instance's own network, which has no
        way out and no other program."""
        ports = {"ingest": 9550, "cache": 9551, "classify": 9552, "regress": 9553, "persist": 9554}
        address = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        for container in self.containers(service):
            host = run("docker", "inspect", "-f", address, container).stdout.split()[0]
            link = socket.create_connection((host, ports[service]), 10)
            with link, link.makefile("rb") as answer:
                link.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                yield answer.read().decode().split("\r\n\r\n", 1)[1]


WORDS = ["good", "bad", "sad", "great", "lovely", "awful", "surprising", "quiet"]
PLACES = ["station", "school", "hospital", "market", "river"]


def texts_file(path, count, prefix):
    """NDJSON with distinct texts of about 70 characters."""
    with open(path, "w") as out:
        for i in range(count):
            out.write(f'{{"id":"{prefix}{i}","text":"number {i} of them all: what a {WORDS[i % 8]} '
                      f'day that was at the {PLACES[i % 5]}, thanks"}}\n')
    path.chmod(0o644)
    return path
