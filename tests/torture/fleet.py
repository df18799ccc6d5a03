"""Several instances of every stage as separate processes, and who starts the dead ones again.

Each stage has a fixed number of slots (addresses that everyone knows), of which some are taken. Some
of the ways between them lead through wires that can be cut and held.
"""

import contextlib
import dataclasses
import os
import signal
import time

import harness
import wire
from kinds import REPLAYED_BYTES

SLOTS = {"ingest": 3, "cache": 3, "classify": 3, "regress": 3, "persist": 3}
TAKEN = {"ingest": 3, "cache": 2, "classify": 2, "regress": 2, "persist": 2}
REPLAYS = 2  # the ingest that takes larger texts, so what was too long for the others can be replayed
SECOND = {"cache": "results", "persist": "acks"}  # the other address of a stage


@dataclasses.dataclass
class Slot:
    stage: str
    number: int
    settings: dict
    http: str
    wanted: bool = False
    program: harness.Program | None = None
    killed: bool = False  # by us: its end is no surprise
    removed: bool = False  # by us: it should end well
    start_at: float | None = None  # when its supervisor starts it again

    @property
    def name(self):
        return f"{self.stage}{self.number}"

    @property
    def alive(self):
        return self.program is not None and self.program.process.poll() is None


def ended_as_told(program):
    """Whether its end is one after SIGTERM. Before a program listens for signals it has nothing open
    and has said nothing; then SIGTERM ends it as it ends any."""
    status = program.process.returncode
    return status in (0, 3) or (status == -signal.SIGTERM and not program.log())


class Fleet:
    def __init__(self, folder, postgres, redis, settings=None):
        self.folder = folder
        self.postgres, self.redis = postgres, redis
        self.wires = wire.Wires()
        self.named_wires = {}
        self.failed_starts = 0
        self.surprises = []  # ends that nobody had asked for
        self.programs = []  # all that ever ran, for their logs
        self.stages = list(SLOTS)
        inside = {(s, i): (harness.free_port(), harness.free_port())
                  for s in self.stages for i in range(SLOTS[s])}
        outside = {key: self._outside(*key, *ports) for key, ports in inside.items()}
        redis_wire = self._wire("redis", f"tcp://127.0.0.1:{redis.port}")
        self.settings = {
            "cache.url": redis_wire.replace("tcp://", "redis://") + "/0",
            "store.url": postgres.conninfo,
            "peers.refresh": "1s",
            **(settings or {}),
        }
        for stage in self.stages:
            mine = [outside[stage, i] for i in range(SLOTS[stage])]
            if stage == "ingest":
                self.endpoints = [first for first, _ in mine[:REPLAYS]]
                self.oneways = [second for _, second in mine[:REPLAYS]]
                self.replays = mine[REPLAYS][0]
                continue
            self.settings[f"{stage}.address"] = ",".join(first for first, _ in mine)
            if stage in SECOND:
                self.settings[f"{stage}.{SECOND[stage]}_address"] = ",".join(s for _, s in mine)
        self.slots = [self._slot(*key, *ports) for key, ports in inside.items()]
        try:
            for slot in reversed(self.slots):
                if slot.number < TAKEN[slot.stage]:
                    slot.wanted = True
                    self.start(slot)
            for slot in self.slots:
                if slot.wanted:
                    slot.program.wait_ready(60)
        except BaseException:
            self.close()
            raise

    def _wire(self, name, target):
        self.named_wires[name] = self.wires.wire(target)
        return self.named_wires[name].endpoint

    def _outside(self, stage, number, first, second):
        """Where others find a slot: the fronts of ingest and the first slot of every stage are
        behind wires, the others are not."""
        addresses = f"tcp://127.0.0.1:{first}", f"tcp://127.0.0.1:{second}"
        if stage == "ingest":
            return self._wire(f"client-ingest{number}", addresses[0]), addresses[1]
        if number > 0:
            return addresses
        behind = self._wire(f"{stage}{number}", addresses[0])
        if stage not in SECOND:
            return behind, addresses[1]
        return behind, self._wire(f"{stage}{number}-{SECOND[stage]}", addresses[1])

    def _slot(self, stage, number, first, second):
        http = f"127.0.0.1:{harness.free_port()}"
        own = {f"{stage}.http": http}
        if stage == "ingest":
            own["ingest.listen"] = f"tcp://127.0.0.1:{first}"
            own["ingest.oneway"] = f"tcp://127.0.0.1:{second}"
            own["journal.dir"] = self.folder / f"journal{number}"
            if number == REPLAYS:
                own["text.max_bytes"] = REPLAYED_BYTES
        else:
            own[f"{stage}.inbox"] = f"tcp://127.0.0.1:{first}"
        if stage in SECOND:
            own[f"{stage}.{SECOND[stage]}"] = f"tcp://127.0.0.1:{second}"
        return Slot(stage, number, own, http)

    # --- starting, watching, ending -----------------------------------------------------------

    def start(self, slot):
        words = []
        for name, value in {**self.settings, **slot.settings}.items():
            words += ["--set", f"{name}={value}"]
        slot.program = harness.Program(self.folder, f"leat-{slot.stage}", *words,
                                       http_address=slot.http)
        slot.killed, slot.removed, slot.start_at = False, False, None
        self.programs.append(slot.program)

    def watch(self, now, pause):
        """Notices who has ended; starts again, `pause()` seconds later, who is wanted."""
        for slot in self.slots:
            if slot.program and not slot.alive:
                status = slot.program.process.returncode
                if not slot.killed and not (slot.removed and ended_as_told(slot.program)):
                    self.complain(slot, status)
                slot.program = None
                if slot.wanted:
                    slot.start_at = now + pause()
            if slot.wanted and not slot.program and slot.start_at and slot.start_at <= now:
                self.start(slot)

    def complain(self, slot, status):
        """An end that nobody asked for. One whose child was killed, or whose port was taken, before
        it was ready has said so and is started again: that is as it should be."""
        log = slot.program.log()
        if status == 1 and "event=cannot_start" in log and "event=ready" not in log:
            self.failed_starts += 1
        else:
            self.surprises.append(f"{slot.name} ended with {status}:\n{log[-3000:]}")

    def running(self, *stages):
        return [s for s in self.slots if s.alive and (not stages or s.stage in stages)]

    def kill(self, slot):
        """True when it was this that ended it."""
        slot.program.kill()
        slot.killed = slot.program.process.returncode == -signal.SIGKILL
        return slot.killed

    def remove(self, slot):
        """SIGTERM; another one may take its place later."""
        slot.wanted, slot.removed = False, True
        slot.program.process.send_signal(signal.SIGCONT)
        slot.program.process.send_signal(signal.SIGTERM)

    def add(self, slot):
        slot.wanted, slot.start_at = True, time.monotonic()

    def metric(self, stage, name, **labels):
        """The sum over all running instances."""
        return sum(slot.program.metric(name, **labels) or 0 for slot in self.running(stage))

    def all_running(self):
        return all(slot.alive == slot.wanted for slot in self.slots)

    def stop(self):
        """Ends all as one would in earnest; {name: exit status}."""
        status = {}
        for stage in self.stages:
            for slot in self.running(stage):
                slot.wanted, slot.removed = False, True
                status[slot.name] = slot.program.stop()
        return status

    def close(self):
        for slot in self.slots:
            if slot.alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(slot.program.pid, signal.SIGKILL)
                slot.program.process.wait()
        self.wires.close()

    def memory_errors(self):
        """Who told of one."""
        return [program.name for program in self.programs if program.memory_error()]

    def killed(self):
        """How many programs a SIGKILL has ended."""
        return sum(program.process.returncode == -signal.SIGKILL for program in self.programs)
