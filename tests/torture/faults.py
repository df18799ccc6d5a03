"""What is done to Leat, at random moments: a script that follows from a seed.

A fault is one act; what undoes it (going on, starting again) is on a list with its time. Who has to
be killed, and for how long, follows from the seed; what they are at just then does not.
"""

import heapq
import os
import random
import signal
import threading
import time

import harness

STOP_SECONDS = (2, 14)  # longer than what ingest waits before it sends again
HOLD_SECONDS = (1, 8)
DRAWS = 500  # something can always be done
OFTEN = 6  # times the weight
GONE = ("", "X", "Z")
STOPPED = ("T", "t")


class Faults:
    def __init__(self, seed, fleet, crowd, log, often=()):
        """`often`: names of faults that are to come more often than others."""
        self.chance = random.Random(f"faults/{seed}")
        self.fleet, self.crowd, self.log = fleet, crowd, log
        self.count, self.by_name = 0, {}
        self.later = []  # heap of (time, number, what)
        self.numbers = 0
        self.busy = set()  # servers that are being restarted
        self.threads = []
        self.errors = []
        # Name, weight, act. An act that has no effect returns None: it is no fault.
        self.acts = [(f"kill {stage}", 5, lambda s=stage: self.kill(s)) for stage in fleet.stages]
        self.acts += [(f"kill the child of {stage}", 5, lambda s=stage: self.kill_child(s))
                      for stage in fleet.stages if stage in ("classify", "regress")]
        self.acts += [(f"stop {stage}", 2, lambda s=stage: self.stop(s)) for stage in fleet.stages]
        self.acts += [
            ("kill a client", 6, self.kill_client),
            ("stop a client", 1, self.stop_client),
            ("stop the child of classify", 1, lambda: self.stop_child("classify")),
            ("crash postgresql", 2, self.crash_postgres),
            ("kill redis", 2, self.kill_redis),
            ("stop redis", 1, self.stop_redis),
            ("empty redis", 2, self.empty_redis),
            ("cut a wire", 8, self.cut),
            ("hold a wire", 4, self.hold),
            ("remove an instance", 3, self.remove),
            ("add an instance", 4, self.add),
        ]
        unknown = set(often) - {name for name, _, _ in self.acts}
        assert not unknown, f"no such faults: {unknown}"
        self.acts = [(name, weight * (OFTEN if name in often else 1), act)
                     for name, weight, act in self.acts]

    # --- the script ---------------------------------------------------------------------------

    def strike(self):
        """One fault, of those that can be done now."""
        for _ in range(DRAWS):
            name, _, act = self.chance.choices(self.acts, [w for _, w, _ in self.acts])[0]
            what = act()
            if what:
                self.count += 1
                self.by_name[name] = self.by_name.get(name, 0) + 1
                self.log(f"fault {self.count}: {name}: {what}")
                return
        self.errors.append("no fault found anything to act on")

    def tick(self, now):
        while self.later and self.later[0][0] <= now:
            heapq.heappop(self.later)[2]()

    def close(self):
        """Undoes all that still has to be undone."""
        while self.later:
            heapq.heappop(self.later)[2]()
        for thread in self.threads:
            thread.join(120)

    def undo_in(self, seconds, what):
        self.numbers += 1
        heapq.heappush(self.later, (time.monotonic() + seconds, self.numbers, what))

    def in_thread(self, server, what):
        def work():
            try:
                what()
            except Exception as error:  # told at the end: the torture itself failed
                self.errors.append(f"{server}: {error!r}")
            finally:
                self.busy.discard(server)

        self.busy.add(server)
        self.threads = [t for t in self.threads if t.is_alive()]
        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()

    def pick(self, of):
        return self.chance.choice(of) if of else None

    def seconds(self, bounds):
        return self.chance.uniform(*bounds)

    # --- processes ----------------------------------------------------------------------------

    def kill(self, stage):
        slot = self.pick([s for s in self.fleet.running(stage) if not s.killed and not s.removed])
        return slot.name if slot and self.fleet.kill(slot) else None

    def a_child(self, stage, *but):
        """A child, and whose it is, that is in none of these states; or None."""
        return self.pick([(pid, f"child of {slot.name}") for slot in self.fleet.running(stage)
                          for pid in harness.children(slot.program.pid)
                          if harness.state(pid) not in (*GONE, *but)])

    def kill_child(self, stage):
        child = self.a_child(stage)
        return child and self.signal(child[0], signal.SIGKILL, child[1])

    def signal(self, pid, number, name):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return None
        return f"{name} (process {pid})"

    def halt(self, pid, name):
        told = (harness.state(pid) not in (*GONE, *STOPPED)
                and self.signal(pid, signal.SIGSTOP, name))
        if not told:
            return None
        seconds = self.seconds(STOP_SECONDS)
        self.undo_in(seconds, lambda: self.signal(pid, signal.SIGCONT, name))
        return f"{told} for {seconds:.1f} s"

    def stop(self, stage):
        slot = self.pick([s for s in self.fleet.running(stage) if not s.killed and not s.removed])
        return slot and self.halt(slot.program.pid, slot.name)

    def stop_child(self, stage):
        child = self.a_child(stage, *STOPPED)
        return child and self.halt(*child)

    def kill_client(self):
        one = self.pick(self.crowd.running())
        return one.name if one and one.kill() else None

    def stop_client(self):
        one = self.pick(self.crowd.running())
        return one and self.halt(one.process.pid, one.name)

    def remove(self):
        many = [s for s in self.fleet.running() if s.wanted and not s.killed and s.stage != "ingest"
                and sum(o.wanted for o in self.fleet.slots if o.stage == s.stage) > 1]
        slot = self.pick(many)
        if slot:
            self.fleet.remove(slot)
        return slot and slot.name

    def add(self):
        slot = self.pick([s for s in self.fleet.slots if not s.wanted and not s.program])
        if slot:
            self.fleet.add(slot)
        return slot and slot.name

    # --- servers ------------------------------------------------------------------------------

    def crash_postgres(self):
        if "postgresql" in self.busy:
            return None
        pause = self.seconds((0, 3))

        def work():
            self.fleet.postgres.crash()
            time.sleep(pause)
            self.fleet.postgres.start()

        self.in_thread("postgresql", work)
        return f"back after {pause:.1f} s"

    def kill_redis(self):
        if "redis" in self.busy:
            return None
        pause = self.seconds((0, 3))

        def work():
            self.fleet.redis.kill()
            time.sleep(pause)
            self.fleet.redis.start()

        self.in_thread("redis", work)
        return f"back after {pause:.1f} s"

    def stop_redis(self):
        if "redis" in self.busy:
            return None
        return self.halt(self.fleet.redis.process.pid, "redis")

    def empty_redis(self):
        if "redis" in self.busy or harness.state(self.fleet.redis.process.pid) in STOPPED:
            return None

        def work():
            answer = self.fleet.redis.command("FLUSHALL")
            if not answer.startswith("+OK"):
                raise RuntimeError(f"FLUSHALL: {answer!r}")

        self.in_thread("redis", work)
        return "all"

    # --- connections --------------------------------------------------------------------------

    def a_wire(self):
        name = self.chance.choice(sorted(self.fleet.named_wires))
        return name, self.fleet.named_wires[name]

    def cut(self):
        name, wire = self.a_wire()
        return name if wire.cut() else None

    def hold(self):
        name, wire = self.a_wire()
        if not wire.links or wire.is_held():
            return None
        seconds = self.seconds(HOLD_SECONDS)
        wire.hold()
        self.undo_in(seconds, wire.release)
        return f"{name} for {seconds:.1f} s"
