"""The example clients against the real thing: one in C on leat.h, one in Python on pyzmq alone."""

import json
import os
import re
import subprocess

import pytest

from harness import EXAMPLES, PATIENCE, ROOT, SAMPLE, until

CLIENTS = {
    "c": [EXAMPLES / "example"],
    "python": ["/usr/bin/python3", ROOT / "proto" / "examples" / "example.py"],
}


@pytest.fixture(params=CLIENTS)
def client(request):
    """Starts an example on a file; ended with the test whatever happens."""
    started = []

    def start(endpoint, path):
        process = subprocess.Popen(
            [*CLIENTS[request.param], endpoint, path], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def finish(process, status=0):
    """Its counts, and what it said of rejected lines."""
    out, err = process.communicate(timeout=120 * PATIENCE)
    assert process.returncode == status, err
    counts = re.fullmatch(r"accepted (\d+) rejected (\d+) committed (\d+) dead (\d+)\n", out)
    assert counts, out + err
    return dict(zip(["accepted", "rejected", "committed", "dead"], map(int, counts.groups()))), err


def line(number):
    """Every 50th has no text; long enough that a few hundred fill a send."""
    record = {"id": f"example-{number}", "text": f"text number {number}: " + "what a fine day it is " * 5}
    if number % 50 == 49:
        del record["text"]
    return (json.dumps(record) + "\n").encode()


def stored(leat):
    return leat.query("SELECT count(*), count(DISTINCT id) FROM texts")[0]


def expect(leat, counts, lines):
    rejected = sum(number % 50 == 49 for number in range(lines))
    assert counts == {"accepted": lines - rejected, "rejected": rejected, "committed": lines - rejected, "dead": 0}
    assert stored(leat) == (lines - rejected, lines - rejected)


def test_the_sample_arrives_and_its_broken_lines_are_named(embedded, client):
    counts, said = finish(client(embedded.endpoint, SAMPLE / "texts.ndjson"))
    lines = (SAMPLE / "texts.ndjson").read_bytes().splitlines()
    assert counts["accepted"] > 200
    assert counts["rejected"] > 5
    assert counts["committed"] == counts["accepted"]
    named = re.findall(r"texts\.ndjson:(\d+): ", said)
    assert len(named) == len(set(named))
    assert counts["accepted"] + len(named) == sum(1 for text in lines if text.strip())
    ids = {json.loads(text)["id"] for n, text in enumerate(lines, 1) if text.strip() and str(n) not in named}
    assert {row[0] for row in embedded.query("SELECT id FROM texts")} == ids


def test_a_killed_ingest_costs_nothing(embedded, client, folder):
    """The file is a pipe, so that it is known what was given before the kill and after it."""
    pipe = folder / "texts.pipe"
    os.mkfifo(pipe)
    process = client(embedded.endpoint, pipe)
    with open(pipe, "wb") as file:
        for number in range(6000):
            file.write(line(number))
        file.flush()
        until("the first half is on its way", lambda: stored(embedded)[0] > 1000)
        embedded.program.kill()
        for number in range(6000, 7000):
            file.write(line(number))
        file.flush()
        embedded.start()
        for number in range(7000, 12000):
            file.write(line(number))
    counts, _ = finish(process)
    expect(embedded, counts, 12000)


def test_a_full_journal_is_waited_out(make_embedded, client, folder):
    leat = make_embedded("--set", "journal.max_bytes=256KB")
    path = folder / "texts.ndjson"
    path.write_bytes(b"".join(map(line, range(10000))))
    counts, _ = finish(client(leat.endpoint, path))
    assert leat.program.metric("leat_ingest_sends_busy_total") > 0
    expect(leat, counts, 10000)


def test_a_second_client_may_follow(embedded, client, folder):
    path = folder / "texts.ndjson"
    path.write_bytes(b"".join(map(line, range(300))))
    for _ in range(2):
        counts, _ = finish(client(embedded.endpoint, path))
        expect(embedded, counts, 300)


def test_what_is_no_leat_is_told(client, folder, embedded):
    path = folder / "texts.ndjson"
    path.write_bytes(line(0))
    process = client(embedded.oneway, path)
    _, said = process.communicate(timeout=60 * PATIENCE)
    assert process.returncode == 1
    assert embedded.oneway in said
