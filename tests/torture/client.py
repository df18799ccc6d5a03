#!/usr/bin/python3
"""One client of the torture: client.py ENDPOINT NAME KIND SEED LOG RATE SECONDS

Sends until there is a file LOG.end, then sees to it that all it sent is answered and committed, for
which it has SECONDS, and ends with 0. It ends as well when who started it is gone.
It may be killed at any moment and started again with the same words: LOG, one line an event, says
where it was. What is in LOG was told by ingest; a line is written before anything counts on it.

    a SEQ ACCEPTED INDEX...    send SEQ was answered; the indexes are of rejected records
    e THROUGH COMMITTED DEAD   the end: so much was told to be done
"""

import os
import pathlib
import sys
import time

import msgpack

from kinds import Load

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "proto" / "examples"))
import example  # noqa: E402  (the example client: a whole client in a page)

PARENT = os.getppid()


def read_log(path):
    """{seq: (accepted, [rejected indexes])} and what was told at the end; a line cut off is none."""
    answered, end = {}, None
    if path.exists():
        for line in path.read_text().splitlines(keepends=True):
            words = line.split()
            if not line.endswith("\n"):
                continue
            if words[0] == "a":
                answered[int(words[1])] = int(words[2]), [int(w) for w in words[3:]]
            else:
                end = tuple(int(w) for w in words[1:])
    return answered, end


class Writing(example.Client):
    """A client that writes down what it was told."""

    def __init__(self, endpoint, name, load, log):
        super().__init__(endpoint, name)
        self.load = load
        self.answered = max(read_log(log)[0], default=0)
        if log.exists():  # a line that was cut off by the end of its writer is taken away
            whole = log.read_bytes()
            with open(log, "r+b") as file:
                file.truncate(whole.rfind(b"\n") + 1)
        self.log = open(log, "a")
        self.last = self.answered

    def work(self, timeout_ms):
        if os.getppid() != PARENT:
            raise example.Refused("who started it is gone")
        super().work(timeout_ms)

    def write(self, *words):
        self.log.write(" ".join(map(str, words)) + "\n")
        self.log.flush()

    def keep(self, seq):
        records = [msgpack.packb(record) for _, record, _ in self.load.send(seq)]
        self.sends[seq] = self.load.kind.name, records, list(range(len(records)))
        self.kept_bytes += sum(map(len, records)) + 128

    def next_send(self):
        while self.sends and not self.has_room(512 * 1024):
            self.work(100)
        self.last += 1
        self.keep(self.last)
        self.work(0)

    def on_welcome(self, m):
        # Sends above what was answered were this client's before it was killed.
        for seq in range(self.last + 1, m["held"] + 1):
            self.keep(seq)
        self.last = max(self.last, m["held"])
        super().on_welcome(m)

    def on_ack(self, m):
        if m["seq"] in self.sends:
            if m.get("forgotten"):
                raise example.Refused(f"the answer to send {m['seq']} was forgotten")
            rejected = [r["index"] for r in m["rejected"]]
            self.write("a", m["seq"], m["accepted"], *rejected)
        super().on_ack(m)


def main():
    endpoint, name, kind, seed, log, rate, seconds = sys.argv[1:]
    end = pathlib.Path(log + ".end")
    client = Writing(endpoint, name, Load(seed, name, kind), pathlib.Path(log))
    if not client.wait(lambda: client.session, float(seconds)):
        sys.exit(f"{name}: no welcome")
    pause = client.load.kind.records_a_send / float(rate)
    due = time.monotonic()
    while not end.exists():
        if client.session:
            client.next_send()
        due = max(due + pause, time.monotonic() - 2)  # what was missed is made up for, a little
        while time.monotonic() < due:
            client.work(max(1, min(100, int((due - time.monotonic()) * 1000))))
    if not client.wait(lambda: client.session and client.all_committed(), float(seconds)):
        sys.exit(f"{name}: not committed: {len(client.sends)} sends without an answer, "
                 f"{client.through} of {client.last} done")
    client.write("e", client.through, client.committed, client.dead)


if __name__ == "__main__":
    try:
        main()
    except (example.Refused, OSError) as problem:
        sys.exit(f"{sys.argv[2]}: {problem}")
