#!/usr/bin/python3
"""Sends a file of NDJSON to Leat and waits until it is committed: python3 example.py ENDPOINT FILE

A whole client on nothing but pyzmq and msgpack; ../README.md is the specification. It survives lost
connections and a restarted ingest: nothing is lost and nothing is taken twice. Where ingest has keys, the
environment's LEAT_SECURITY_KEYS names the folder that `leat keys client NAME` made.
"""

import json
import os
import secrets
import sys
import time

import msgpack
import zmq
from zmq.auth import load_certificate

SEND_BYTES = 64 * 1024  # records are collected up to so many bytes a send
SILENCE = 3.0  # seconds without any answer, after which it says hello again


class Refused(Exception):
    """Ingest will take nothing more from this client."""


class Client:
    def __init__(self, endpoint, name=None, on_reject=None, keys=os.environ.get("LEAT_SECURITY_KEYS")):
        self.name = name or secrets.token_hex(16)
        self.on_reject = on_reject or (lambda tag, code, reason: None)
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, 0)  # there are no more answers than sends
        self.socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing waits for a connection that is not there
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 5000)
        self.socket.setsockopt(zmq.TCP_MAXRT, 15000)
        self.socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        self.socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 15)
        self.socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 5)
        self.socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
        if keys:  # everything is encrypted, and both sides prove who they are
            self.socket.curve_serverkey, _ = load_certificate(f"{keys}/server.pub")
            self.socket.curve_publickey, self.socket.curve_secretkey = load_certificate(f"{keys}/client.key")
        self.socket.connect(endpoint)

        self.instance = secrets.randbelow(2**32 - 1) + 1  # tells it from others of its name
        self.session = None  # None: hello is to be said, or not answered yet
        self.welcomed = 0  # the session of the last welcome
        self.hello_at = None  # when it was said
        self.said = False  # as this instance, and never yet was there a welcome
        self.heard_at = time.monotonic()
        self.resume_at = 0.0  # "busy": nothing goes out before
        self.probing = False  # after busy or gap: one send at a time until one is taken

        self.sends = {}  # seq: (kind, packed records, their tags), kept until answered
        self.kept_bytes = 0
        self.last = None  # seq of the newest send
        self.next = None  # seq that goes on the wire next
        self.on_wire = {}  # seq: bytes of its frame, not answered yet

        self.accepted = self.rejected = self.through = self.committed = self.dead = 0

    def send(self, kind, packed, tags):
        """Takes one send: a list of packed records, and for each a tag to name it when rejected.
        Waits while the limits are used up."""
        size = sum(map(len, packed)) + 128
        while self.last is None or (self.sends and not self.has_room(size)):
            self.work(1000)
        self.last += 1
        self.sends[self.last] = kind, packed, tags
        self.kept_bytes += size
        self.work(0)

    def wait(self, until, timeout):
        """Works until `until()` is true; False when the time is over first."""
        deadline = time.monotonic() + timeout
        asked = time.monotonic()
        while not until():
            if time.monotonic() > deadline:
                return False
            # Ingest tells what is done as it changes; asking is for when that got lost.
            if self.session and time.monotonic() - asked > 1:
                self.transmit({"type": "done", "session": self.session})
                asked = time.monotonic()
            self.work(100)
        return True

    def all_answered(self):
        return not self.sends

    def all_committed(self):
        return not self.sends and (self.last is None or self.through >= self.last)

    # --- the wire ---------------------------------------------------------------------------

    def has_room(self, size):
        return len(self.sends) < self.limits["unanswered"] and self.kept_bytes + size <= self.credit

    def transmit(self, message):
        """One msgpack map in one frame; the frame's size, or 0 when there is no connection."""
        frame = msgpack.packb({"v": 1, **message})
        try:
            self.socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return 0
        return len(frame)

    def work(self, timeout_ms):
        """Says hello if need be, sends what may be sent, reads all answers."""
        now = time.monotonic()
        waiting = self.on_wire or self.hello_at
        if waiting and now - self.heard_at > SILENCE:
            self.session = self.hello_at = None
        if now >= self.resume_at:
            if self.session:
                self.transmit_sends()
            elif not self.hello_at and self.transmit(
                    {"type": "hello", "client": self.name, "instance": self.instance,
                     "session": self.welcomed, "again": self.said}):
                self.hello_at = self.heard_at = now
                self.said = not self.welcomed
        if not self.session or now < self.resume_at:
            timeout_ms = min(timeout_ms, 50)
        while self.socket.poll(timeout_ms):
            self.on_answer(msgpack.unpackb(self.socket.recv()))
            timeout_ms = 0

    def transmit_sends(self):
        while self.next <= self.last and not (self.probing and self.on_wire):
            if self.next in self.sends:  # else it was answered meanwhile
                kind, packed, _ = self.sends[self.next]
                # The records are packed already: an array head, and they follow as they are.
                head = msgpack.packb(
                    {"v": 1, "type": "send", "session": self.session, "seq": self.next, "kind": kind, "records": []}
                )
                frame = head[:-1] + msgpack.Packer().pack_array_header(len(packed)) + b"".join(packed)
                if self.on_wire and sum(self.on_wire.values()) + len(frame) > self.credit:
                    return
                try:
                    self.socket.send(frame, zmq.NOBLOCK)
                except zmq.Again:
                    return
                if not self.on_wire:
                    self.heard_at = time.monotonic()
                self.on_wire[self.next] = len(frame)
            self.next += 1

    def go_back(self, seq):
        """All sends from seq on are sent again, in order."""
        self.next = min(self.next, seq)
        self.on_wire = {s: size for s, size in self.on_wire.items() if s < self.next}
        self.probing = True

    # --- answers ----------------------------------------------------------------------------

    def on_answer(self, m):
        if m.get("v") != 1:
            raise Refused(f"it speaks version {m.get('v')} of the protocol")
        if m["type"] != "done":
            self.heard_at = time.monotonic()
        handler = getattr(self, "on_" + m["type"], None)
        if handler:  # a later ingest may say more
            handler(m)

    def on_welcome(self, m):
        if self.last is None:
            self.last = m["held"]
        elif m["held"] > self.last:
            raise Refused(f"another client of the name {self.name} has sent meanwhile")
        elif m["held"] < min(self.sends, default=self.last + 1) - 1:
            raise Refused("it came back with an older journal: what it had accepted is missing")
        self.session = self.welcomed = m["session"]
        self.said = False
        self.credit, self.limits = m["credit"], m["limits"]
        self.hello_at = None
        self.on_wire = {}
        self.probing = False
        self.next = min(self.sends, default=self.last + 1)  # everything unanswered goes out again
        self.on_done(m)

    def on_ack(self, m):
        send = self.sends.pop(m["seq"], None)
        self.on_wire.pop(m["seq"], None)
        self.probing = False
        if send:  # else it was answered before
            self.kept_bytes -= sum(map(len, send[1])) + 128
            self.accepted += m["accepted"]
            self.rejected += len(m["rejected"])
            for r in m["rejected"]:
                self.on_reject(send[2][r["index"]], r["code"], r["reason"])

    def on_busy(self, m):
        if m["seq"] == 0:  # it was the hello
            self.hello_at = None
        elif self.session and m["seq"] in self.on_wire:
            self.go_back(m["seq"])
        else:
            return  # it was behind one that we have gone back to
        self.resume_at = time.monotonic() + m["retry_ms"] / 1000

    def on_gap(self, m):
        # While one send at a time goes out, a gap can only be about what was behind it before.
        if self.session and not self.probing:
            self.go_back(m["held"] + 1)

    def on_hello(self, m):
        if self.session:  # the connection was lost and came again, or ingest did
            self.session = self.hello_at = None

    def on_fenced(self, m):
        to_hello = "instance" in m
        if m["session"] not in (0, self.welcomed) or (m["session"] == 0 and m.get("instance") != self.instance):
            return  # an earlier session, or another instance that we were
        if to_hello and not self.welcomed:  # as far as ingest knows, we may have been in before
            self.instance = secrets.randbelow(2**32 - 1) + 1
            self.said = False
            self.hello_at = None
        elif not to_hello:  # a send: whose the name is now, the answer to a hello tells
            if self.session:
                self.session = self.hello_at = None
        else:
            raise Refused(f"another client of the name {self.name} is connected now")

    def on_done(self, m):
        if m["through"] >= self.through:
            self.through, self.committed, self.dead = m["through"], m["committed"], m["dead"]

    def on_error(self, m):
        raise Refused(f"{m['reason']} ({m['code']})")


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: example.py ENDPOINT FILE.ndjson")
    endpoint, path = sys.argv[1:]
    client = Client(
        endpoint,
        on_reject=lambda line, code, reason: print(f"{path}:{line}: {code}: {reason}", file=sys.stderr),
    )
    if not client.wait(lambda: client.session, 10):
        sys.exit(f"{endpoint}: no welcome within 10 seconds")

    packed, lines, size = [], [], 0
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = msgpack.packb(json.loads(line))
            except (ValueError, OverflowError, RecursionError) as error:
                print(f"{path}:{number}: {error}", file=sys.stderr)
                continue
            if packed and (size + len(record) > SEND_BYTES or len(packed) == client.limits["send_records"]):
                client.send("text", packed, lines)
                packed, lines, size = [], [], 0
            packed.append(record)
            lines.append(number)
            size += len(record)
    if packed:
        client.send("text", packed, lines)

    done = client.wait(client.all_committed, 60)
    print(f"accepted {client.accepted} rejected {client.rejected} committed {client.committed} dead {client.dead}")
    sys.exit(0 if done else 1)


if __name__ == "__main__":
    try:
        main()
    except (Refused, OSError) as problem:
        sys.exit(str(problem))
