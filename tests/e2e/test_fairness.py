"""One client cannot starve the others, whatever it does: all are read in turn, a transaction is
bounded, and of each transaction a client has no more than its credit."""

import signal

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


def test_a_client_has_its_turn_beside_others_that_flood(make_embedded):
    """Because all are read in turn, and by the bounds of a transaction. Most has been sent before the
    first is read; who is the first is chance, so it is done three times."""
    floods, each, large, per_commit, text = 3, 60, 40, 4, "more and more " * 100
    embedded = make_embedded("--set", f"ingest.commit_bytes={per_commit * large * len(text)}")
    for turn in range(3):
        context = zmq.Context()
        *greedy, polite = (Client(context, embedded.endpoint, f"{turn}-{n}") for n in range(floods + 1))
        embedded.program.process.send_signal(signal.SIGSTOP)
        for i in range(each):
            for n, client in enumerate(greedy):
                client.send([{"id": f"{turn}-{n}-{i}-{j}", "text": text} for j in range(large)])
            if i == each // 2:  # before the last of theirs, so it is on its way when they are read
                for one in range(5):
                    polite.send([{"id": f"polite-{turn}-{one}", "text": text}])
        embedded.program.process.send_signal(signal.SIGCONT)
        until("all are stored", lambda: embedded.query(
            f"SELECT count(*) FROM texts WHERE id LIKE '{turn}-%' OR id LIKE 'polite-{turn}-%'")
            == [(floods * each * large + 5,)], 60)
        context.destroy(0)
        (before,), = embedded.query(
            f"SELECT count(DISTINCT seq) FROM texts WHERE id LIKE '{turn}-%'"
            f" AND seq < (SELECT max(seq) FROM texts WHERE id LIKE 'polite-{turn}-%')")
        assert before < each  # so no flood came to its end before
    # Its answer does not wait for more of theirs than a transaction holds.
    assert 3 * floods * each <= per_commit * embedded.program.metric("leat_ingest_commits_total")


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
