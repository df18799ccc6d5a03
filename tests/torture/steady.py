"""A steady load: `leat send` fed at a set rate, and a look at the processes under it."""

import json
import pathlib
import subprocess
import threading
import time

import harness


class Steady:
    """Texts at `rate` a second, their ids taken anew from the beginning after `ring` of them."""

    KIND, UNIT = "text", "texts"
    OPTIONS = ("--format", "ndjson")

    def __init__(self, endpoint, rate, ring=200_000):
        self.rate, self.ring, self.sent = rate, ring, 0
        self.over = threading.Event()
        self.process = subprocess.Popen(
            [harness.BIN / "leat", "send", "--to", endpoint, "--kind", self.KIND, *self.OPTIONS,
             "--json", "--timeout", "120", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.feed, daemon=True)
        self.thread.start()

    def feed(self):
        began = time.monotonic()
        while not self.over.wait(0.02):
            due = int((time.monotonic() - began) * self.rate)
            lines = [self.line(i) for i in range(self.sent, min(due, self.sent + self.rate))]
            self.sent += len(lines)
            self.process.stdin.write("".join(lines))
            self.process.stdin.flush()

    def line(self, i):
        return (f'{{"id":"r{i % self.ring}","text":"number {i}: what a good day for words that are '
                f'{i * 7919 % 10007} times said"}}\n')

    def finish(self):
        """What `leat send` told in the end."""
        self.over.set()
        self.thread.join()
        out, err = self.process.communicate(timeout=180)
        assert self.process.returncode == 0, out + err
        told = json.loads(out.strip().splitlines()[-1])
        assert told["committed"] == told["sent"] == self.sent, told
        return told

    def close(self):
        self.over.set()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class SteadySeries(Steady):
    """Rows of one series at `rate` a second, a second of time between two of them."""

    KIND, UNIT = "series", "rows"
    OPTIONS = ("--format", "csv", "--columns", "ts,close", "--series", "STEADY")

    def line(self, i):
        return f"{1_700_000_000 + i},{1 + i * 7919 % 10007 / 1e6}\n"


def descriptors(pid):
    try:
        return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0
