"""One client cannot starve the others, whatever it does: all are read in turn, a transaction is
bounded, and of each transaction a client has no more than its credit."""

import threading

import msgpack
import zmq

from harness import PATIENCE, until


class Client:
    def __init__(self, context, endpoint, name):
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(endpoint)
        self.say(type="hello", client=name)
        self.session = self.hear()["session"]
        self.seq = 0

    def say(self, **message):
        self.socket.send(msgpack.packb({"v": 1, **message}))

    def hear(self):
        assert self.socket.poll(20000 * PATIENCE), "no answer"
        return msgpack.unpackb(self.socket.recv())

    def send(self, records):
        self.seq += 1
        self.say(type="send", session=self.session, seq=self.seq, kind="text", records=records)


def flood(context, endpoint, number, stop):
    """Sends without end, heeds no credit and hears no answer."""
    greedy = Client(context, endpoint, f"greedy-{number}")
    greedy.socket.sndtimeo = 100
    i = 0
    while not stop.is_set():
        i += 1
        try:
            greedy.send([{"id": f"greedy-{number}-{i}-{j}", "text": "more and more " * 100}
                         for j in range(40)])
        except zmq.Again:
            greedy.seq -= 1
    greedy.socket.close()


def test_a_client_has_its_turn_beside_others_that_flood(embedded):
    """Because all are read in turn, and by the bounds of a transaction. The floods' credit is no part
    in it: from the first send that is not taken, theirs are out of order."""
    context = zmq.Context()
    stop = threading.Event()
    floods = [threading.Thread(target=flood, args=(context, embedded.endpoint, n, stop))
              for n in range(3)]
    polite = Client(context, embedded.endpoint, "polite")

    def taken():
        return embedded.program.metric("leat_ingest_sends_total")

    for thread in floods:
        thread.start()
    try:
        until("they are at it", lambda: taken() > 100)
        before = taken()
        for i in range(20):
            polite.send([{"id": f"polite-{i}", "text": "what a good day"}])
            while (answer := polite.hear())["type"] == "done":
                pass
            assert answer["type"] == "ack", answer
        between = (taken() - before) / 20
    finally:
        stop.set()
        for thread in floods:
            thread.join()
    polite.socket.close()
    context.destroy(0)
    # As many as two transactions hold, whatever time they take; thousands of theirs are waiting.
    assert 1 < between < 300
    print(f"{between:.0f} sends of others for each of the polite one")


def test_a_client_that_heeds_no_credit_has_no_more_than_it_of_a_transaction(make_embedded):
    credit, at_once = 4096, 50
    embedded = make_embedded("--set", f"ingest.credit={credit}", "--set", f"ingest.send_bytes={credit}",
                             "--set", "text.max_bytes=1KB")
    text = "more and more " * 70

    def counted(name):
        return embedded.program.metric(f"leat_ingest_{name}_total")

    context = zmq.Context()
    greedy, refused = Client(context, embedded.endpoint, "greedy"), 0
    try:
        for _ in range(20):
            held = greedy.seq
            for i in range(at_once):
                greedy.send([{"id": f"{held}-{i}", "text": text}])
            greedy.seq = held
            answers = 0
            while answers < at_once:  # goes back at once, whatever pause it is told
                answer = greedy.hear()
                answers += answer["type"] != "done"
                refused += answer["type"] == "busy"
                greedy.seq += answer["type"] == "ack"
    finally:
        context.destroy(0)
    assert refused > 0
    assert counted("sends") == greedy.seq <= counted("commits") * (credit // len(text))
