"""A steady load: `leat send` fed at a set rate, and a look at the processes under it."""

import json
import pathlib
import subprocess
import threading
import time

import harness


class Steady:
    """Texts at `rate` a second, their ids taken anew from the beginning after `ring` of them."""

    def __init__(self, endpoint, rate, ring=200_000):
        self.rate, self.ring, self.sent = rate, ring, 0
        self.over = threading.Event()
        self.process = subprocess.Popen(
            [harness.BIN / "leat", "send", "--to", endpoint, "--format", "ndjson", "--json",
             "--timeout", "120", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.feed, daemon=True)
        self.thread.start()

    def feed(self):
        began = time.monotonic()
        while not self.over.wait(0.02):
            due = int((time.monotonic() - began) * self.rate)
            lines = []
            for i in range(self.sent, min(due, self.sent + self.rate)):
                lines.append(f'{{"id":"r{i % self.ring}","text":"number {i}: what a good day for '
                             f'words that are {i * 7919 % 10007} times said"}}\n')
            self.sent += len(lines)
            self.process.stdin.write("".join(lines))
            self.process.stdin.flush()

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


def descriptors(pid):
    try:
        return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0
