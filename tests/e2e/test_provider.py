"""Embeddings from a provider: what a server of OpenAI's kind may do to whoever asks it."""

import base64
import contextlib
import email.utils
import hashlib
import http.server
import json
import math
import struct
import subprocess
import threading
import time

import msgpack
import pytest
import zmq

import harness
from test_fairness import Client

WIDTH = 8
KEY = "sk-nobody-may-see-this"


def vector(text, width=WIDTH):
    """Any numbers, the same for the same text, not of length 1."""
    digest = hashlib.sha256(text.encode()).digest()
    return [byte / 16 - 8 for byte in digest[:width]]


def unit(numbers):
    length = math.hypot(*numbers)
    return [number / length for number in numbers]


def items(texts, encoding="base64", width=WIDTH):
    made = []
    for i, text in enumerate(texts):
        numbers = vector(text, width)
        if encoding == "base64":
            numbers = base64.b64encode(struct.pack(f"<{width}f", *numbers)).decode()
        made.append({"object": "embedding", "index": i, "embedding": numbers})
    return made


class Provider:
    """A server whose n-th request is answered by what script(n, request) gives: None (a good answer), or
    (status, headers, body), or bytes instead of HTTP, or what writes them."""

    def __init__(self, script=lambda n, request: None, port=0):
        self.script, self.requests, self.times, self.headers = script, [], [], []
        self.lock = threading.Lock()
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with provider.lock:
                    n = len(provider.requests)
                    provider.requests.append(request)
                    provider.times.append(time.monotonic())
                    provider.headers.append(dict(self.headers))
                answer = provider.script(n, request)
                if isinstance(answer, bytes) or callable(answer):
                    with contextlib.suppress(OSError):
                        answer(self.wfile) if callable(answer) else self.wfile.write(answer)
                    self.close_connection = True
                    return
                status, headers, body = answer or (200, {}, good(request))
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # whoever hangs up
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/embeddings"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def asked(self):
        """All texts that came, in order."""
        with self.lock:
            return [text for request in self.requests for text in request["input"]]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def good(request, **changed):
    return {"object": "list", "model": request["model"],
            "data": items(request["input"], request["encoding_format"]),
            "usage": {"prompt_tokens": 3, "total_tokens": 3}, **changed}


@pytest.fixture
def provided(folder):
    """Starts a provider with a script, and Leat that asks it."""
    with contextlib.ExitStack() as stack:
        def start(script=lambda n, request: None, *settings, url=None, environment=None):
            provider = stack.enter_context(contextlib.closing(Provider(script)))
            (folder / "key").write_text(KEY + "\n")
            arguments = ["--set", "embeddings.store=yes", "--set", f"embeddings.url={url or provider.url}",
                         "--set", "embeddings.model=small", "--set", f"embeddings.key_file={folder}/key"]
            for setting in settings:
                arguments += ["--set", setting]
            embedded = stack.enter_context(contextlib.closing(harness.Embedded(
                folder, *arguments, environment={"no_proxy": "*", **(environment or {})})))
            return embedded, provider
        yield start
        for log in folder.glob("*.log"):
            assert KEY not in log.read_text(errors="replace")


def records(texts, prefix="t"):
    return [msgpack.packb({"id": f"{prefix}{i}", "text": text}) for i, text in enumerate(texts)]


def send(embedded, texts, prefix="t"):
    """All in one send, so in one batch; the client, which has counted what became of them."""
    with harness.client_of(embedded.endpoint) as client:
        client.send("text", records(texts, prefix), texts)
        assert client.wait(client.all_committed, 120 * harness.PATIENCE)
    return client


def check_stored(embedded, texts):
    rows = dict(embedded.query("SELECT id, embedding FROM texts"))
    assert len(rows) == len(texts)
    for i, text in enumerate(texts):
        got = struct.unpack(f"<{WIDTH}f", rows[f"t{i}"])
        assert all(abs(a - b) < 1e-6 for a, b in zip(got, unit(vector(text)))), text


def dead(embedded):
    return dict(embedded.query("SELECT id, code FROM dead_letters"))


def message(embedded):
    return embedded.query("SELECT message FROM dead_letters LIMIT 1")[0][0]


TEXTS = [f"text number {i} \u00e9\U0001f30a \"quoted\"" for i in range(40)]


@pytest.mark.parametrize("encoding", ["base64", "float"])
def test_every_text_gets_its_own_vector_in_few_requests(provided, encoding):
    def shuffled(n, request):
        assert request["encoding_format"] == encoding and request["model"] == "small"
        data = items(request["input"], encoding)
        return 200, {}, good(request, data=data[::-1])

    embedded, provider = provided(shuffled, "embeddings.request_texts=16", f"embeddings.encoding={encoding}")
    told = send(embedded, TEXTS + TEXTS[:10])
    assert told.committed == 50 and told.dead == 0
    check_stored(embedded, TEXTS + TEXTS[:10])
    assert provider.asked() == TEXTS  # equal ones once
    assert [len(request["input"]) for request in provider.requests] == [16, 16, 8]
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in provider.headers)
    program = embedded.program
    assert program.metric("leat_classify_embedding_requests_total") == 3
    assert program.metric("leat_classify_embedding_retries_total") == 0
    assert program.metric("leat_classify_embedding_texts_total", outcome="embedded") == 40
    assert program.metric("leat_classify_embedding_tokens_total") == 9
    assert program.metric("leat_classify_embedding_seconds_total", doing="requesting") > 0


def test_the_texts_of_many_small_sends_share_requests(provided):
    embedded, provider = provided(lambda n, request: time.sleep(0.3))
    texts = [f"{text} of {i}" for i, text in enumerate(TEXTS)] + TEXTS[:1] * 10
    context = zmq.Context()
    client = Client(context, embedded.endpoint, "small")
    for i, text in enumerate(texts):
        client.send([{"id": f"t{i}", "text": text}])
    harness.until("all are stored", lambda: embedded.query("SELECT count(*) FROM texts") == [(len(texts),)])
    context.destroy(0)
    check_stored(embedded, texts)
    assert sorted(provider.asked()) == sorted(set(texts))
    assert len(provider.requests) <= 15


def test_requests_are_bounded_in_bytes_and_long_texts_are_cut_between_characters(provided):
    embedded, provider = provided(lambda n, request: None, "embeddings.request_bytes=100",
                                  "embeddings.text_bytes=61")
    texts = ["\u00e9" * 31, "b" * 61, "c" * 30, "d" * 30, "e" * 30]
    assert send(embedded, texts).committed == 5
    assert [request["input"] for request in provider.requests] == [
        ["\u00e9" * 30], ["b" * 61, "c" * 30], ["d" * 30, "e" * 30]]
    assert dict(embedded.query("SELECT id, truncated FROM texts WHERE truncated")) == {"t0": 1}


def test_the_key_may_come_from_the_environment_and_dimensions_are_asked_for(provided):
    embedded, provider = provided(lambda n, request: None, "embeddings.key_file=", f"embeddings.dimensions={WIDTH}",
                                  environment={"LEAT_EMBEDDINGS_KEY": KEY + "2"})
    assert send(embedded, TEXTS).committed == 40
    assert provider.headers[0]["Authorization"] == f"Bearer {KEY}2"
    assert provider.requests[0]["dimensions"] == WIDTH
    listed = harness.leat("config", environment={"LEAT_EMBEDDINGS_KEY": KEY}).stdout
    assert KEY not in listed and "embeddings.key" in listed


@pytest.mark.parametrize("how", ["seconds", "date"])
def test_a_busy_provider_is_asked_again_when_it_says(provided, how):
    said = []

    def busy(n, request):
        if n > 0:
            return None
        now = time.time()
        wait, until = ("2", now + 2) if how == "seconds" else (
            email.utils.formatdate(now + 3, usegmt=True), int(now + 3))
        said.append(time.monotonic() + until - now)
        return 429, {"Retry-After": wait}, {"error": {"message": "slow down"}}

    embedded, provider = provided(busy)
    assert send(embedded, TEXTS).committed == 40
    check_stored(embedded, TEXTS)
    assert len(provider.requests) == 2
    assert provider.times[1] >= said[0] - 0.1
    assert embedded.program.metric("leat_classify_embedding_retries_total") == 1
    assert embedded.program.metric("leat_classify_embedding_seconds_total", doing="pausing") > (
        1.8 if how == "seconds" else 0)
    assert "slow down" in embedded.program.log()  # why it was not ready


WRONG = {
    "error": (500, {}, b"oops"),
    "gateway": (502, {"Content-Type": "text/html"}, b"<html>"),
    "no HTTP": b"garbage\r\n\r\n",
    "hung up": b"",
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"data\": [",
    "no JSON": (200, {}, b"{\"data\": [}"),
    "empty": (200, {}, b""),
    "no data": (200, {}, {"hello": 1}),
    "a list": (200, {}, [1, 2]),
}
CHANGED = {
    "short": lambda data: data[:-1],
    "long": lambda data: data + data[:1],
    "twice": lambda data: data[:-1] + data[:1],
    "index beyond": lambda data: [{**data[0], "index": 4096}, *data[1:]],
    "index negative": lambda data: [{**data[0], "index": -1}, *data[1:]],
    "no index": lambda data: [{"embedding": item["embedding"]} for item in data],
    "other width": lambda data: [{**data[0], "embedding": [1.0] * 7}, *data[1:]],
    "no numbers": lambda data: [{**data[0], "embedding": ["a"] * WIDTH}, *data[1:]],
    "no base64": lambda data: [{**data[0], "embedding": "!" * 43 + "="}, *data[1:]],
    "zeros": lambda data: [{**data[0], "embedding": [0.0] * WIDTH}, *data[1:]],
    "infinite": lambda data: [{**data[0], "embedding": [1e300] * WIDTH}, *data[1:]],
    "no number": lambda data: [{**data[0], "embedding": base64.b64encode(
        struct.pack(f"<{WIDTH}f", *[math.nan] * WIDTH)).decode()}, *data[1:]],
    "nothing": lambda data: [{"index": item["index"]} for item in data],
    "endless": lambda data: [{**data[0], "filler": "x" * 4_000_000}, *data[1:]],
}


def test_whatever_is_wrong_once_is_asked_again(provided):
    """One kind of wrong answer after the other, each to the first request of a send."""
    turn = []

    def wrong(n, request):
        if not turn:
            return None
        name = turn.pop()
        return WRONG[name] if name in WRONG else (
            200, {}, good(request, data=CHANGED[name](items(request["input"]))))

    embedded, provider = provided(wrong, "cache.memory_bytes=64KB")
    for number, name in enumerate([*WRONG, *CHANGED]):
        turn[:] = [name]
        texts = [f"{name} {i}" for i in range(40)]
        before = len(provider.requests)
        told = send(embedded, texts)
        assert told.committed == 40 and told.dead == 0, name
        assert len(provider.requests) == before + 2, name
        check_stored(embedded, texts)
    # One of them libcurl repeats by itself: a kept connection that is closed without a word.
    assert embedded.program.metric("leat_classify_embedding_retries_total") == len(WRONG) + len(CHANGED) - 1


def test_answers_that_never_make_sense_make_dead_letters_soon(provided):
    embedded, provider = provided(lambda n, request: (200, {}, good(request, data=[])))
    told = send(embedded, TEXTS)
    assert told.dead == 40 and len(provider.requests) == 4  # the last one: for a harmless text
    assert set(dead(embedded).values()) == {"embedding_malformed"}
    assert "expected 40 items" in message(embedded)
    assert embedded.query("SELECT count(*) FROM texts") == [(0,)]


def test_a_width_that_changes_is_not_believed(provided):
    def wider(n, request):
        return None if n == 0 else (200, {}, good(request, data=items(request["input"], width=16)))

    embedded, provider = provided(wider)
    assert send(embedded, TEXTS[:1]).committed == 1
    assert send(embedded, TEXTS[1:]).dead == 39
    assert "16 numbers; expected 8" in message(embedded)


def test_a_key_that_is_not_taken_is_no_fault_of_the_texts(provided, folder):
    expired = threading.Event()
    expired.set()
    embedded, provider = provided(lambda n, request: (
        401, {}, {"error": {"message": f"wrong key {KEY}", "type": "auth"}}) if expired.is_set() else None)
    path = harness.texts_file(folder / "texts.ndjson", range(40))
    sender = harness.send_in_background(embedded.endpoint, path)
    harness.until("it is asked again", lambda: len(provider.requests) >= 3)
    assert "HTTP 401" in embedded.program.log() and KEY not in embedded.program.log()
    expired.clear()
    assert harness.finish(sender)["committed"] == 40 and not dead(embedded)


def test_not_even_the_beginning_of_the_key_is_in_logs_when_the_provider_repeats_it(provided):
    key = "sk-" + "".join(hashlib.sha256(bytes([i])).hexdigest() for i in range(3))
    embedded, provider = provided(lambda n, request: (
        401, {}, {"error": {"message": f"Incorrect API key provided: {key}. It is not known here."}}),
        "embeddings.key_file=", "embeddings.give_up=1s", environment={"LEAT_EMBEDDINGS_KEY": key})
    assert send(embedded, TEXTS).dead == 40
    assert "HTTP 401" in message(embedded)
    assert key[:12] not in message(embedded) and key[:12] not in embedded.program.log()


def test_only_the_texts_that_the_provider_does_not_want_are_dead_letters(provided):
    bad = {TEXTS[3], TEXTS[17], TEXTS[18]}
    embedded, provider = provided(lambda n, request: (
        400, {}, {"error": {"message": "not this one"}}) if bad & set(request["input"]) else None)
    told = send(embedded, TEXTS + [TEXTS[3]])
    assert told.committed == 37 and told.dead == 4
    assert dead(embedded) == {f"t{i}": "embedding_refused" for i in (3, 17, 18, 40)}
    assert "HTTP 400: not this one" in message(embedded)


def test_a_provider_that_refuses_everything_is_not_asked_for_every_text(provided):
    embedded, provider = provided(lambda n, request: (400, {}, {"error": "no such model"}))
    assert send(embedded, [f"text {i}" for i in range(1000)]).dead == 1000
    assert len(provider.requests) < 20


def test_a_text_that_is_refused_is_found_though_many_were_refused_before(provided):
    embedded, provider = provided(lambda n, request: (
        400, {}, {"error": "not this one"}) if any("bad" in text for text in request["input"]) else None)
    assert send(embedded, [f"bad {i}" for i in range(130)]).dead == 130
    told = send(embedded, [*TEXTS[:5], "bad", *TEXTS[6:]], "m")
    assert told.committed == 39 and told.dead == 1


def test_one_vector_that_makes_no_sense_costs_no_other_text_its_own(provided):
    def zeros(n, request):
        data = items(request["input"])
        for text, item in zip(request["input"], data):
            if text in (TEXTS[5], TEXTS[30]):
                item["embedding"] = [0.0] * WIDTH
        return 200, {}, good(request, data=data)

    embedded, provider = provided(zeros)
    assert send(embedded, TEXTS).dead == 2
    assert dead(embedded) == {"t5": "embedding_malformed", "t30": "embedding_malformed"}


def test_a_text_that_breaks_the_provider_costs_no_other_text_its_vector(provided):
    """As llama.cpp does with a text that is too long for it."""
    embedded, provider = provided(lambda n, request: (
        500, {}, {"error": {"message": "input is too large"}}) if TEXTS[5] in request["input"] else None)
    assert send(embedded, TEXTS).dead == 1
    assert dead(embedded) == {"t5": "embedding_refused"} and "too large" in message(embedded)


def test_a_provider_that_is_broken_for_a_while_costs_no_text(provided):
    begin = time.monotonic()
    embedded, provider = provided(lambda n, request: (
        500, {}, b"") if time.monotonic() < begin + 8 else None)
    begin = time.monotonic()
    assert send(embedded, TEXTS).committed == 40
    check_stored(embedded, TEXTS)
    assert 4 <= len(provider.requests) <= 20


def test_a_first_answer_that_is_not_taken_does_not_say_how_wide_vectors_are(provided):
    def wide_once(n, request):
        return (200, {}, good(request, data=[{"index": i, "embedding": [0.0] * 16} for i in range(
            len(request["input"]))])) if n == 0 else None

    embedded, provider = provided(wide_once)
    assert send(embedded, TEXTS).committed == 40


def test_a_provider_that_stays_away_makes_dead_letters_and_the_next_texts_go_through(provided):
    away = threading.Event()
    away.set()
    embedded, provider = provided(lambda n, request: (503, {}, b"") if away.is_set() else None,
                                  "embeddings.give_up=5s", "child.timeout=3s")
    begin = time.monotonic()
    told = send(embedded, TEXTS)
    assert told.dead == 40 and time.monotonic() - begin >= 5
    assert set(dead(embedded).values()) == {"embedding_unavailable"}
    assert "HTTP 503" in message(embedded)
    assert len(provider.requests) >= 3
    away.clear()
    harness.leat("dead", "replay", "--to", embedded.endpoint, "--data", embedded.data, "--all", check=True)
    harness.until("all are stored", lambda: embedded.query("SELECT count(*) FROM texts") == [(40,)])
    check_stored(embedded, TEXTS)
    # A long wait is no hang.
    assert embedded.program.metric("leat_stage_child_ends_total", stage="classify") == 0


def probes(embedded):
    return embedded.program.metric("leat_ingest_batches_probed_total")


def test_copies_of_a_batch_that_waited_in_vain_do_not_wait_again(provided):
    quick = 8  # so many round trips tell ingest what to expect: after no more than that it sends again
    embedded, provider = provided(lambda n, request: (503, {}, b"") if n >= quick else None,
                                  "embeddings.give_up=5s")
    for i in range(quick):
        assert send(embedded, [f"quick {i}"]).committed == 1
    assert send(embedded, TEXTS).dead == 40
    assert probes(embedded) >= 1
    harness.until("the copies are through", lambda: embedded.program.metric(
        "leat_stage_batches_out_total", stage="classify") == quick + 1 + probes(embedded))
    asked = [at for at, request in zip(provider.times, provider.requests) if TEXTS[0] in request["input"]]
    assert len(asked) >= 3
    # Each asks once, and one question of the batch itself may have come in late.
    assert sum(at > asked[0] + 5 for at in asked) <= probes(embedded) + 1


def test_a_batch_that_comes_again_while_it_waits_is_not_asked_for_again(provided):
    copied = threading.Event()

    def slow(n, request):
        if n == 1:
            copied.wait(120)

    embedded, provider = provided(slow, "embeddings.timeout=120s")
    assert send(embedded, ["quick"]).committed == 1
    with harness.client_of(embedded.endpoint) as client:
        client.send("text", records(TEXTS), TEXTS)
        harness.until("a copy is sent", lambda: probes(embedded) >= 1)
        copied.set()
        assert client.wait(client.all_committed, 60 * harness.PATIENCE)
    harness.until("the copies are through", lambda: embedded.program.metric(
        "leat_classify_texts_total", source="recent") >= 40)
    assert provider.asked() == ["quick", *TEXTS]


def test_nobody_there_is_waited_for(provided, folder):
    port = harness.free_port()
    embedded, _ = provided(url=f"http://127.0.0.1:{port}/v1/embeddings")
    path = harness.texts_file(folder / "texts.ndjson", range(20))
    sender = harness.send_in_background(embedded.endpoint, path)
    address = embedded.program.http_address
    harness.until("it is not ready", lambda: harness.http(address, "/readyz")[0] == 503)
    assert "does not answer" in harness.http(address, "/readyz")[1]
    with contextlib.closing(Provider(port=port)):
        assert harness.finish(sender)["committed"] == 20
        harness.until("it is ready", lambda: harness.http(address, "/readyz")[0] == 200)


# A look-up that takes as long as one does whose servers are not there.
SLOW_NAMES = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    if (!node || strcmp(node, "provider.test") != 0)
        return ((look_up *)dlsym(RTLD_NEXT, "getaddrinfo"))(node, service, hints, out);
    sleep(8);
    return EAI_AGAIN;
}
"""


@pytest.mark.skipif(harness.BUILD.name.endswith("san"), reason="sanitizers want to be loaded first")
def test_servers_of_names_that_do_not_answer_are_no_fault_of_the_texts(provided, folder):
    (folder / "names.c").write_text(SLOW_NAMES)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "names.so", folder / "names.c"], check=True)
    embedded, _ = provided(lambda n, request: None, "embeddings.timeout=1s", "embeddings.give_up=4s",
                           "child.timeout=3s", url="http://provider.test/v1/embeddings",
                           environment={"LD_PRELOAD": f"{folder}/names.so"})
    assert send(embedded, TEXTS).dead == 40
    assert set(dead(embedded).values()) == {"embedding_unavailable"}
    assert embedded.program.metric("leat_stage_child_ends_total", stage="classify") == 0


@pytest.mark.parametrize("how", ["silent", "slow"])
def test_an_answer_that_takes_too_long_is_asked_for_again(provided, how):
    hold = threading.Event()

    def drip(out):
        out.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not hold.wait(0.1):
            out.write(b" ")
            out.flush()

    def slow_once(n, request):
        if n > 0:
            return None
        return drip if how == "slow" else hold.wait(60) and None

    embedded, provider = provided(slow_once, "embeddings.timeout=1s")
    try:
        assert send(embedded, TEXTS).committed == 40
        assert len(provider.requests) >= 2  # the next one may take too long by itself
        assert provider.times[1] - provider.times[0] >= 1
    finally:
        hold.set()


@pytest.mark.parametrize("child", ["yes", "no"])
def test_a_drain_does_not_wait_for_a_provider_longer_than_it_may(provided, folder, child):
    hold = threading.Event()
    embedded, provider = provided(lambda n, request: hold.wait(60) and None, "drain.timeout=2s",
                                  f"child.enabled={child}")
    try:
        path = harness.texts_file(folder / "texts.ndjson", range(20))
        harness.send(embedded.endpoint, path, wait="accepted")
        harness.until("it is asked", lambda: provider.requests)
        begin = time.monotonic()
        assert embedded.program.stop() == 3
        assert time.monotonic() - begin < 12 * harness.PATIENCE
        hold.set()
        embedded.start()  # what was accepted comes again
        harness.until("all are stored", lambda: embedded.query("SELECT count(*) FROM texts") == [(20,)])
    finally:
        hold.set()


def test_cached_results_bring_their_embeddings_and_topics_ask_at_the_start(provided):
    embedded, provider = provided(lambda n, request: None, "topics.embeddings=yes", "topics.keep_from=0")
    topics = len(provider.asked())
    assert topics >= 10
    assert send(embedded, TEXTS).committed == 40
    harness.until("the cache has them", lambda: embedded.program.metric("leat_cache_fills_total") >= 40)
    assert send(embedded, TEXTS, "again").committed == 40
    assert len(provider.asked()) == topics + 40
    rows = dict(embedded.query("SELECT id, embedding FROM texts"))
    assert all(rows[f"t{i}"] == rows[f"again{i}"] for i in range(40))
    found = [json.loads(row[0]) for row in embedded.query("SELECT topics FROM texts")]
    assert any(topic["embedding_score"] for topics_of in found for topic in topics_of)


@contextlib.contextmanager
def starting(folder, url):
    """Leat whose topics need a provider that is not there yet."""
    address = f"127.0.0.1:{harness.free_port()}"
    program = harness.Program(
        folder, "leat", "run", "--data", folder / "data", "--listen",
        f"tcp://127.0.0.1:{harness.free_port()}", "--set", "topics.embeddings=yes", "--set",
        f"embeddings.url={url}", "--set", "embeddings.model=small", "--set", f"run.http={address}",
        http_address=address, environment={"no_proxy": "*"})
    try:
        yield program
    finally:
        program.kill()
    program.check_sanitizers()


def test_topics_wait_for_a_provider_that_is_not_there_at_the_start(folder):
    def later(n, request):
        return (503, {"Retry-After": "22"}, b"") if n == 0 else None

    with contextlib.closing(Provider(later)) as provider, starting(folder, provider.url) as program:
        harness.until("it says why it is not ready",
                      lambda: "HTTP 503" in harness.http(program.http_address, "/readyz")[1])
        program.wait_ready(60)
        assert len(provider.requests) == 2
        assert program.stop() == 0


def test_a_start_that_waits_for_a_provider_ends_when_it_is_told_to(folder):
    with starting(folder, f"http://127.0.0.1:{harness.free_port()}/") as program:
        harness.until("it says why it is not ready",
                      lambda: "does not answer" in harness.http(program.http_address, "/readyz")[1])
        assert program.stop() == 0


@pytest.mark.parametrize("settings, reason", [
    (["embeddings.url=ftp://here", "embeddings.store=yes", "embeddings.model=m"], "expected a URL"),
    (["embeddings.url=http://127.0.0.1:1/", "embeddings.store=yes"], "setting embeddings.model"),
    (["embeddings.url=http://127.0.0.1:1/", "embeddings.model=m"], "neither embeddings.store nor"),
    (["embeddings.url=http://127.0.0.1:1/", "embeddings.store=yes", "embeddings.model=m",
      "embeddings.key=two words"], "the key must be one word"),
    (["embeddings.url=http://127.0.0.1:1/", "embeddings.store=yes", "embeddings.model=m",
      "embeddings.key_file=/nowhere"], "/nowhere: No such file"),
])
def test_settings_that_cannot_work_are_named(folder, settings, reason):
    words = [word for setting in settings for word in ("--set", setting)]
    with pytest.raises(AssertionError) as failed:
        harness.Embedded(folder, *words)
    assert reason in str(failed.value) and "two words" not in str(failed.value)
