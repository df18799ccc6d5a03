"""The clients of the torture, and what they were told.

Each is a process that may be killed and is then started again under the same name: client.py (its
own log), `leat send` (a file after another; a killed one sends its file again), and `leat dead replay`
of what was too long. And there is a one-way sender, to whom nothing is promised.
"""

import json
import pathlib
import random
import signal
import subprocess
import time

import msgpack
import zmq

import client
import harness
import sanitizers
from kinds import Load, Text

HERE = pathlib.Path(__file__).resolve().parent
END_SECONDS = 200 * harness.PATIENCE  # in which a client hears that all it sent is committed
TIMED_OUT = ("nothing was answered or committed for 120 s", " (waited ")


class Expected:
    """What the store has to hold in the end."""

    def __init__(self):
        self.accepted = 0  # records that a client was told are accepted
        self.sure = {}  # kind: {key: record}, the last one accepted
        self.perhaps = {}  # the same of one-way records: if it is there, it is this
        self.frames = []  # of each one-way send, {key: the table where it is, if the send has come}
        self.letters = {}  # id: (stage, code, payload), of dead letters that there may be
        self.deleted = set()  # series that were taken out of the store
        self.wrong = []  # what was told and cannot be

    def take(self, records, kind, rejected=None):
        """`records` were answered; `rejected`: their indexes, if known."""
        for key, record, code in records:
            if code is None:
                self.accepted += 1
                self.sure.setdefault(kind, {})[key] = record
        bad = [i for i, (_, _, code) in enumerate(records) if code]
        if rejected is not None and rejected != bad:
            self.wrong.append(f"rejected {rejected}, not {bad}")

    def take_frame(self, records):
        """`records` were sent one-way: invalid ones become dead letters, of which some are replayed."""
        frame = {}
        for key, record, code in records:
            frame[key] = "texts" if code in (None, Replayer.CODE) else "dead_letters"
            if frame[key] == "texts":
                self.perhaps.setdefault("text", {})[key] = record
            if code:
                self.letters[key] = "ingest", code, msgpack.packb(record)
        self.frames.append(frame)


class Member:
    """One process that is started again whenever it has ended too soon."""

    EXCUSES = ()  # one of these must be said when it ends with 1

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.process, self.killed, self.starts = None, False, 0
        self.start_at, self.finished, self.surprises = 0.0, False, []
        self.err_path = folder / f"{name}.err"

    def launch(self, words):
        self.starts += 1
        self.killed = False
        with open(self.err_path, "ab") as err:
            self.err_begins = err.tell()
            self.process = subprocess.Popen(
                list(map(str, words)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=err, text=True)

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """True when it was this that ended it."""
        self.process.send_signal(signal.SIGKILL)
        self.killed = self.process.wait() == -signal.SIGKILL
        return self.killed

    def judge_end(self, status):
        """An end that is not a success."""
        said = self.err_path.read_bytes()[self.err_begins:].decode(errors="replace")
        excused = status == 1 and any(word in said for word in self.EXCUSES)
        if sanitizers.reported(status, said) or not (self.killed or excused):
            self.surprises.append(f"{self.name} ended with {status}: {said[-2000:]}")


class Client(Member):
    """client.py: what it was told is in its log."""

    def __init__(self, name, folder, endpoint, kind, seed, rate):
        super().__init__(name, folder)
        self.load = Load(seed, name, kind)
        self.log = folder / f"{name}.log"
        self.words = ["/usr/bin/python3", HERE / "client.py", endpoint, name, kind, seed, self.log,
                      rate, END_SECONDS]

    def tick(self, now, ending, pause):
        if self.process and not self.alive and not self.finished:
            status = self.process.returncode
            if status == 0 and ending:
                self.finished = True
                return
            self.judge_end(status)
            self.process, self.start_at = None, now + pause()
        if not self.process and self.start_at <= now:
            self.launch(self.words)

    def end(self):
        pathlib.Path(f"{self.log}.end").touch()

    def account(self, expected):
        answered, end = client.read_log(self.log)
        before = expected.accepted
        if sorted(answered) != list(range(1, len(answered) + 1)):
            expected.wrong.append(f"{self.name}: answers are missing in between")
        for seq in sorted(answered):
            records = self.load.send(seq)
            expected.take(records, self.load.kind.name, answered[seq][1])
            if answered[seq][0] + len(answered[seq][1]) != len(records):
                expected.wrong.append(f"{self.name}: send {seq} was answered with other counts")
        mine = expected.accepted - before
        if end is None or end[0] != len(answered) or end[1] != mine or end[2] != 0:
            expected.wrong.append(f"{self.name}: {mine} records in {len(answered)} sends accepted, "
                                  f"but told (through, committed, dead) = {end}")


class Sender(Member):
    """`leat send`, one file after the other."""

    EXCUSES = TIMED_OUT  # the file is sent again
    TEXTS = 2000

    def __init__(self, name, folder, endpoints, seed, rate):
        super().__init__(name, folder)
        self.load = Load(seed, name, "text")
        self.endpoints, self.pause = ",".join(endpoints), self.TEXTS / rate
        self.number, self.done = 0, []

    def records(self, number):
        made, n = [], 0
        while len(made) < self.TEXTS:
            n += 1
            made += self.load.send(number * 1000 + n)
        return made

    def write(self):
        self.number += 1
        self.path = self.folder / f"{self.name}.ndjson"
        self.path.write_text("".join(json.dumps(record) + "\n"
                                     for _, record, _ in self.records(self.number)))
        self.wait = random.Random(f"{self.load.seed}/{self.name}/{self.number}").choice(
            ("accepted", "committed"))

    def tick(self, now, ending, pause):
        if self.process and not self.alive:
            status, out = self.process.returncode, self.process.stdout.read()
            self.process = None
            if status == 0:
                self.judge(json.loads(out.strip().splitlines()[-1]))
                self.start_at = max(now, self.began + self.pause)
            else:
                self.judge_end(status)
                self.start_at = now + pause()
                self.again = True
        if self.process or self.finished:
            return
        if ending and not self.again:
            self.finished = True
        elif self.start_at <= now:
            if not self.again:
                self.write()
                self.began = now
            self.again = False
            self.launch([harness.BIN / "leat", "send", "--to", self.endpoints, "--client", self.name,
                         "--wait", self.wait, "--json", "--timeout", "120",
                         "--rejects", "0", self.path])

    again = False
    began = 0.0

    def judge(self, told):
        """The file is done: the numbers must be those of what is in it."""
        records = self.records(self.number)
        bad = sum(code is not None for _, _, code in records)
        self.done.append((self.number, (told["sent"], told["accepted"], told["rejected"]) ==
                          (len(records), len(records) - bad, bad)))

    def end(self):
        pass

    def account(self, expected):
        for number, right in self.done:
            expected.take(self.records(number), "text")
            if not right:
                expected.wrong.append(f"{self.name}: file {number} was told with other counts")


class Oneway(Member):
    """PUSH without answers. It is a part of the torture's own process, so never killed: what is lost
    on its way is lost by promise."""

    def __init__(self, name, folder, endpoint, seed, rate):
        super().__init__(name, folder)
        self.load = Load(seed, name, "text")
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.PUSH)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDHWM, 10)
        self.socket.connect(endpoint)
        self.pause, self.sent, self.due = Text.records_a_send / rate, 0, 0.0

    def records(self, number):
        return self.load.send(number, 0.2, 0)

    def tick(self, now, ending, pause):
        self.finished = ending
        if ending or now < self.due:
            return
        self.due = now + self.pause
        frame = {"v": 1, "kind": "text",
                 "records": [record for _, record, _ in self.records(self.sent + 1)]}
        try:
            self.socket.send(msgpack.packb(frame), zmq.NOBLOCK)
        except zmq.Again:
            return
        self.sent += 1

    def end(self):
        pass

    def account(self, expected):
        for n in range(1, self.sent + 1):
            expected.take_frame(self.records(n))

    def close(self):
        self.context.destroy(linger=0)


class Replayer(Member):
    """`leat dead replay`, again and again: of what was too long for the ingest that took it, to one
    for which it is not."""

    CODE = "text_too_long"
    EXCUSES = (*TIMED_OUT, "server", "database system", "terminating connection")  # of PostgreSQL

    def __init__(self, name, folder, fleet):
        super().__init__(name, folder)
        self.words = ["dead", "replay", "--code", self.CODE, "--json", "--timeout", "120",
                      "--store", fleet.postgres.conninfo, "--to", fleet.replays]
        self.stored = 0

    def tick(self, now, ending, pause):
        if self.process and not self.alive:
            status, out = self.process.returncode, self.process.stdout.read()
            if not self.well(status, out):
                self.judge_end(status)
            self.process, self.start_at = None, now + 3 * pause()
        self.finished = ending and not self.process
        if not ending and not self.process and self.start_at <= now:
            self.launch([harness.BIN / "leat", *self.words])

    def well(self, status, out):
        """Whether a replay has ended well; it counts what was stored. 1 is no failure when all are
        stored: then there were others than when they were counted."""
        told = json.loads(out) if out else {"stored": 0, "sent": 0, "rejected": 1}
        self.stored += told["stored"]
        return status == 0 or (status == 1 and told["sent"] == told["stored"] and not told["rejected"])

    def all_replayed(self):
        """Replays what is left; true when nothing was, or when it cannot be done."""
        before = self.stored
        done = harness.leat(*self.words)
        well = self.well(done.returncode, done.stdout)
        if not well:
            self.surprises.append(f"the last replay ended with {done.returncode}: {done.stderr[-2000:]}")
        return not well or self.stored == before

    def end(self):
        pass

    def account(self, expected):
        pass


class Crowd:
    def __init__(self, folder, fleet, kinds, seed, rate):
        self.members = []
        clients = [kind for kind in kinds for _ in range(2)]
        for i, kind in enumerate(clients):
            share = rate * (0.35 if kind == "text" else 0.004)
            self.members.append(Client(f"c{i}", folder, fleet.endpoints[i % len(fleet.endpoints)],
                                       kind, seed, share))
        self.members.append(Sender("s0", folder, fleet.endpoints, seed, rate * 0.25))
        self.oneway = Oneway("w0", folder, fleet.oneways[0], seed, rate * 0.05)
        self.replayer = Replayer("r0", folder, fleet)
        self.members += [self.oneway, self.replayer]

    def running(self):
        return [m for m in self.members if m.alive]

    def tick(self, ending, pause):
        now = time.monotonic()
        for member in self.members:
            member.tick(now, ending, pause)

    def end(self):
        for member in self.members:
            member.end()

    def finished(self):
        return all(m.finished for m in self.members)

    def surprises(self):
        return [s for m in self.members for s in m.surprises]

    def account(self):
        expected = Expected()
        for member in self.members:
            member.account(expected)
        return expected

    def close(self):
        for member in self.members:
            if member.alive:
                member.kill()
                member.process.wait()
        self.oneway.close()
