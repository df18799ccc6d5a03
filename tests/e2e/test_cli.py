"""The command line as people use it: what it prints, and how it exits."""

import contextlib
import fcntl
import gzip
import json
import os
import pty
import re
import select
import shutil
import signal
import sqlite3
import struct
import subprocess
import termios

import msgpack
import pytest
import zmq

import harness
from harness import leat, send, until


def ndjson(path, *records):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


def ids(running):
    return sorted(row[0] for row in running.query("SELECT id FROM texts"))


def push(endpoint, records):
    """Records by the one-way port."""
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.connect(endpoint)
    socket.send(msgpack.packb({"v": 1, "kind": "text", "records": records}))
    socket.close()
    context.term()


# --- help ---------------------------------------------------------------------------------------


COMMANDS = ["run", "send", "show", "tail", "plot", "delete", "stats", "dead", "config", "train", "health", "top", "tap", "keys"]


def test_help_lists_every_command():
    done = leat("help", check=True)
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout
    assert leat("--help", check=True).stdout == done.stdout
    bare = leat()
    assert bare.returncode == 2 and bare.stdout == "" and bare.stderr == done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    text = leat("help", command, check=True).stdout
    assert leat(command, "--help", check=True).stdout == text
    assert leat(command, "--nonsense", "--help", check=True).stdout == text
    for part in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES"):
        assert f"{part}\n" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_version():
    assert leat("--version", check=True).stdout.startswith("leat ")


def test_wrong_words_are_answered_with_the_right_ones():
    done = leat("stat")
    assert done.returncode == 2 and "did you mean 'stats'?" in done.stderr
    done = leat("help", "sned")
    assert done.returncode == 2 and "did you mean 'send'?" in done.stderr
    done = leat("send", "--filed", "text=body", "x")
    assert done.returncode == 2 and "did you mean --field?" in done.stderr
    done = leat("send", "x", "--to")
    assert done.returncode == 2 and "--to needs a value" in done.stderr
    done = leat("send", "--to", "a", "--to", "b", "x")
    assert done.returncode == 2 and "given twice" in done.stderr
    done = leat("dead", "lst")
    assert done.returncode == 2 and "'lst'" in done.stderr and "list, show and replay" in done.stderr
    for words in (["send"], ["show"], ["dead"], ["dead", "show"], ["dead", "replay"],
                  ["run", "x"], ["stats", "x"], ["send", "--wait", "long", "x"],
                  ["stats", "--top", "1.5"],
                  ["send", "--rejects", "0.5", "x"], ["tail", "--rows", "2.5", "x"],
                  ["tap", "--limit", "0.5", "cache"], ["plot", "--width", "300.5", "x"],
                  ["model", "check", "--threads", "1.5", "x", "y"],
                  ["send", "--kind", "none", "x"], ["send", "--timeout", "-1", "x"],
                  ["send", "--format", "xml", "x"], ["send", "--field", "colour=red", "x"],
                  ["send", "--client", "", "x"], ["send", "--client", "n" * 129, "x"],
                  ["health", "foo"], ["health", "127.0.0.1:1", "foo:"], ["top", "--once", "foo"],
                  ["top", "--once", "127.0.0.1:1", "nonsense"], ["top", "--once", "a:70000"]):
        done = leat(*words)
        assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("leat "), words


# --- config -------------------------------------------------------------------------------------


def test_config_tells_where_each_value_is_from(folder):
    path = folder / "leat.conf"
    path.write_text("# ours\nstore.url = postgresql://me:hidden@db/leat\nlog.level = warn\n")
    environment = {"LEAT_TEXT_MAX_BYTES": "1KB", "LEAT_CONFIG": str(path)}
    done = leat("config", "--json", "--set", "cache.url=redis://:secret@cache:6379/1",
                environment=environment, check=True)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["store.url"]["value"] == "postgresql://me:******@db/leat"
    assert rows["store.url"]["where"] == f"{path}:2"
    assert rows["text.max_bytes"]["where"] == "LEAT_TEXT_MAX_BYTES"
    assert rows["cache.url"]["value"] == "redis://:******@cache:6379/1"
    assert rows["cache.url"]["where"] == "--set"
    assert rows["ingest.listen"]["where"] == "default"
    assert all(row["help"] for row in rows.values())
    assert "hidden" not in done.stdout and "secret" not in done.stdout.replace('"secret":', "")

    done = leat("config", "--changed", environment=environment, check=True)
    assert "log.level = warn" in done.stdout and "ingest.listen" not in done.stdout
    done = leat("config", "text", "log.level", check=True)
    assert "text.max_bytes = " in done.stdout and "store.url" not in done.stdout
    assert "| `store.url` |" in leat("config", "--markdown", check=True).stdout
    for words in (["nothing"], ["--changed", "nothing"]):
        done = leat("config", *words)
        assert done.returncode == 2 and "'nothing'" in done.stderr
    assert leat("config", "--changed", "log.level", check=True).stdout == "every setting has its default\n"


def test_config_refuses_what_is_wrong_with_its_place(folder):
    path = folder / "leat.conf"
    path.write_text("log.level = warn\nlog.levle = debug\n")
    done = leat("config", "--config", path)
    assert done.returncode == 2 and f"{path}:2" in done.stderr and "log.level?" in done.stderr
    done = leat("config", "--set", "persist.rows=many")
    assert done.returncode == 2 and "persist.rows" in done.stderr


def test_passwords_are_hidden_in_every_form_of_a_store():
    for url, shown in {
        "host=db password=hidden dbname=x": "host=db password=****** dbname=x",
        "host=db password='hid den\\' x' dbname=x": "host=db password=****** dbname=x",
        "postgresql://db/x?password=hidden&sslmode=require":
            "postgresql://db/x?password=******&sslmode=require",
        "postgresql://me:hid@den@db/x": "postgresql://me:******@db/x",
        "host=db dbname=passwords sslpassword=hidden password=hidden":
            "host=db dbname=passwords sslpassword=****** password=******",
        "postgresql://db/x?sslpassword=hidden&password=hidden":
            "postgresql://db/x?sslpassword=******&password=******",
        "sqlite:/var/lib/x.db": "sqlite:/var/lib/x.db",
    }.items():
        done = leat("config", "store.url", "--json", "--set", f"store.url={url}", check=True)
        assert json.loads(done.stdout)[0]["value"] == shown


# --- run ----------------------------------------------------------------------------------------


def test_a_hangup_names_what_only_a_restart_takes(folder, make_embedded):
    """Also what leat run had a default of its own for; but not what it decides itself."""
    path = folder / "leat.conf"
    path.write_text("")
    program = make_embedded("--config", path).program
    path.write_text(f"journal.dir = {folder}/other\ncache.inbox = tcp://127.0.0.1:1\n"
                    "drain.timeout = 7s\n")
    program.process.send_signal(signal.SIGHUP)
    until("the settings were read", lambda: "event=reloaded" in program.log())
    told = {line.split("setting=")[1] for line in program.log().splitlines()
            if "level=warn" in line and "event=reload_needs_restart" in line}
    assert told == {"journal.dir", "drain.timeout"}


def test_run_says_plainly_why_it_cannot(folder, embedded):
    blocked = folder / "file"
    blocked.write_text("")
    for data in (blocked, blocked / "below"):
        done = leat("run", "--data", data)
        assert done.returncode == 1 and str(blocked) in done.stderr
    done = leat("run", "--data", folder / "two", "--listen", embedded.endpoint, "--set", "run.http=")
    assert done.returncode == 1
    assert embedded.endpoint in done.stderr and "in use" in done.stderr
    done = leat("run", "--data", embedded.data, "--listen",
                f"tcp://127.0.0.1:{harness.free_port()}", "--set", "run.http=")
    assert done.returncode == 1 and "in use by another" in done.stderr
    done = leat("run", "--data", folder / "three", "--set", "ingest.nothing=1")
    assert done.returncode == 2 and "ingest.nothing" in done.stderr


def test_run_makes_its_folder_and_says_where_it_is(folder, make_embedded):
    running = make_embedded()
    assert (running.data / "leat.db").exists() and (running.data / "journal").is_dir()
    harness.until("it says so", lambda: f"clients at {running.endpoint}" in running.program.log())
    assert running.program.stop() == 0


# --- send ---------------------------------------------------------------------------------------


def test_send_counts_every_line_and_names_every_reason(folder, embedded):
    path = ndjson(
        folder / "mixed.ndjson",
        {"id": "a", "text": "a fine day"}, {"id": "b", "text": 5}, "{broken", "[]", "",
        {"id": "c"}, {"id": "d", "text": "two"}, {"id": "e", "text": "x", "reach": -1},
        {"id": "f", "text": "\x00"},
    )
    log = folder / "rejects.ndjson"
    done = leat("send", "--to", embedded.endpoint, "--json", "--rejects-file", log, path)
    result = json.loads(done.stdout)
    assert done.returncode == 0 and done.stdout.count("\n") == 1
    assert result["sent"] == 8 == result["accepted"] + result["rejected"]
    assert (result["accepted"], result["committed"], result["dead"]) == (2, 2, 0)
    assert result["error"] is None and result["seconds"] > 0 and result["rate"] > 0
    expected = [(2, "text_type"), (3, "json_broken"), (4, "not_object"), (6, "text_missing"),
                (8, "reach_negative"), (9, "nul")]
    assert [(r["line"], r["code"]) for r in result["rejects"]] == expected
    assert all(r["file"] == str(path) and r["reason"] for r in result["rejects"])
    assert sorted(json.loads(line)["line"] for line in log.read_text().splitlines()) == [
        line for line, _ in expected]
    assert f"{path}:3: not JSON" in done.stderr
    assert ids(embedded) == ["a", "d"]

    done = leat("send", "--to", embedded.endpoint, "--rejects", 2, path, check=True)
    assert done.stderr.count(f"{path}:") == 2 and "and 4 more" in done.stderr
    assert "2 accepted, 6 rejected, 2 committed" in done.stdout
    done = leat("send", "--to", embedded.endpoint, "--quiet", path, check=True)
    assert done.stdout == "" and done.stderr == ""


def test_reasons_of_ingest_find_their_lines_in_long_files(folder, embedded):
    lines = [{"id": f"t{i}", "text": "hello" if i % 1000 else 7} for i in range(20000)]
    one = ndjson(folder / "one.ndjson", *lines[:9500])
    two = ndjson(folder / "two.ndjson", "", "{", *lines[9500:])
    result = send(embedded.endpoint, one, two)
    assert result["sent"] == 20001 and result["accepted"] == 19980 == result["committed"]
    places = [(r["file"], r["line"]) for r in result["rejects"]]
    assert places == ([(str(one), i + 1) for i in range(0, 9500, 1000)] + [(str(two), 2)]
                      + [(str(two), i - 9500 + 3) for i in range(10000, 20000, 1000)])


def test_formats_and_names(folder, embedded):
    (folder / "a.csv").write_text('key,body,verified,reach\n1,"two\nlines, ""quoted""",yes,7\n')
    (folder / "b.tsv").write_text("three\t27\t2\nfour\t1,2\t3\n")
    with gzip.open(folder / "c.csv.gz", "wt") as out:
        out.write("id,text\n4,five\n")
    send(embedded.endpoint, folder / "a.csv", options=["--field", "text=body", "--field", "id=key"])
    send(embedded.endpoint, folder / "b.tsv", options=["--columns", "text,labels,id"])
    send(embedded.endpoint, folder / "c.csv.gz")
    send(embedded.endpoint, "-", input='{"id": "5", "text": "six"}\n')
    send(embedded.endpoint, "-", input="six\tx\n",
         options=["--no-header", "--field", "text=1", "--format", "tsv"])
    rows = embedded.query("SELECT id, text, verified, reach FROM texts ORDER BY id")
    assert rows[:5] == [("1", 'two\nlines, "quoted"', 1, 7), ("2", "three", 0, 0),
                        ("3", "four", 0, 0), ("4", "five", 0, 0), ("5", "six", 0, 0)]
    assert len(rows) == 6 and len(rows[5][0]) == 32

    done = leat("send", "--to", embedded.endpoint, folder / "a.csv")
    assert done.returncode == 1
    assert "no column 'text'" in done.stderr and "key, body, verified, reach" in done.stderr


def test_nothing_is_sent_when_an_input_is_no_good(folder, embedded):
    good = ndjson(folder / "good.ndjson", {"id": "a", "text": "one"})
    for bad in (folder / "missing.csv", folder, folder / "header.csv", folder / "binary"):
        (folder / "header.csv").write_text("id,body\n1,x\n")
        (folder / "binary").write_bytes(b"\x7fELF\x00\x00")
        done = leat("send", "--to", embedded.endpoint, good, bad)
        assert done.returncode == 1 and str(bad) in done.stderr and done.stdout == ""
    assert ids(embedded) == []


def test_scripts_are_told_also_when_nothing_could_be_sent(folder):
    good = ndjson(folder / "good.ndjson", {"id": "a", "text": "one"})
    missing = folder / "missing.csv"
    for words in ([good, missing], ["--rejects-file", folder / "none" / "log", good]):
        done = leat("send", "--to", f"tcp://127.0.0.1:{harness.free_port()}", "--json", *words)
        assert done.returncode == 1 and done.stdout.count("\n") == 1
        told = json.loads(done.stdout)
        assert str(folder) in told["error"] and told["error"] in done.stderr
        assert told["sent"] == told["accepted"] == told["rejected"] == 0 and told["rejects"] == []


def test_what_was_read_before_a_file_broke_off_is_sent(folder, embedded):
    whole = gzip.compress("".join(
        json.dumps({"id": f"t{i}", "text": f"text {i * 7919}"}) + "\n" for i in range(5000)).encode())
    (folder / "cut.ndjson.gz").write_bytes(whole[: len(whole) // 2])
    after = ndjson(folder / "after.ndjson", {"id": "after", "text": "still sent"})
    done = leat("send", "--to", embedded.endpoint, "--json", folder / "cut.ndjson.gz", after)
    result = json.loads(done.stdout)
    assert done.returncode == 1 and "cut short" in result["error"]
    assert 1000 < result["committed"] < 5000 and result["committed"] == result["sent"]
    assert "after" in ids(embedded)


def test_an_empty_input_is_no_failure(folder, embedded):
    (folder / "empty.csv").write_text("")
    assert send(embedded.endpoint, folder / "empty.csv")["sent"] == 0
    assert send(embedded.endpoint, "-", input="")["sent"] == 0


def test_send_gives_up_when_nobody_is_there(folder):
    path = ndjson(folder / "a.ndjson", {"id": "a", "text": "one"})
    address = f"tcp://127.0.0.1:{harness.free_port()}"
    done = leat("send", "--to", address, "--timeout", "0.3", path)
    assert done.returncode == 1 and address in done.stderr


def test_an_address_that_is_none_is_a_wrong_word(folder, grave):
    path = ndjson(folder / "a.ndjson", {"id": "a", "text": "one"})
    for to, said in {
        "localhost:5550": "localhost:5550 is no address to connect to: expected tcp://HOST:PORT",
        "tcp://localhost": "tcp://localhost is no address to connect to: expected tcp://HOST:PORT",
        "tcp://127.0.0.1:99999": "a port from 1 to 65535",
        "tcp://127.0.0.1:5550,127.0.0.1:5551": "127.0.0.1:5551 is no address",
        "": "no endpoint",
    }.items():
        for words in (["send", path], ["dead", "replay", "--all", "--data", grave.data]):
            done = leat(*words, "--to", to)
            assert done.returncode == 2 and done.stdout == ""
            assert said in done.stderr and done.stderr.startswith(f"leat {words[0]}: --to: ")


class Stuck:
    """A Leat that accepts and cannot store: nobody is at its PostgreSQL's address."""

    def __init__(self, folder):
        self.endpoint = f"tcp://127.0.0.1:{harness.free_port()}"
        http = f"127.0.0.1:{harness.free_port()}"
        self.program = harness.Program(
            folder, "leat", "run", "--data", folder / "stuck", "--listen", self.endpoint,
            "--store", "postgresql://nobody@127.0.0.1:1/none", "--set", f"run.http={http}",
            "--set", "drain.timeout=100ms", http_address=http)
        until("it is alive", lambda: harness.http(http, "/healthz")[0] == 200)

    def close(self):
        assert self.program.stop() == 3, "what is left is safe in the journal"
        self.program.check_sanitizers()


@pytest.fixture
def stuck(folder):
    with contextlib.closing(Stuck(folder)) as running:
        yield running


def test_send_tells_scripts_that_nobody_let_it_in(folder):
    path = ndjson(folder / "a.ndjson", {"id": "a", "text": "one"})
    done = leat("send", "--to", f"tcp://127.0.0.1:{harness.free_port()}", "--timeout", 1, "--json", path)
    result = json.loads(done.stdout)
    assert done.returncode == 1 and (result["sent"], result["accepted"]) == (0, 0)
    assert result["error"] and result["error"] in done.stderr


def test_send_gives_up_when_nothing_is_stored(folder, stuck):
    path = ndjson(folder / "a.ndjson", {"id": "a", "text": "one"})
    seconds = 3 * harness.PATIENCE
    done = leat("send", "--to", stuck.endpoint, "--timeout", seconds, "--json", path)
    result = json.loads(done.stdout)
    assert done.returncode == 1 and f"for {seconds} s" in result["error"]
    assert (result["accepted"], result["committed"]) == (1, 0)
    assert "safe in the journal" in done.stderr
    leat("send", "--to", stuck.endpoint, "--wait", "accepted", path, check=True)


def test_an_interrupted_send_says_what_it_knows(folder, stuck):
    path = ndjson(folder / "a.ndjson", {"id": "a", "text": "one"})
    process = subprocess.Popen(
        [harness.BIN / "leat", "send", "--to", stuck.endpoint, "--json", path, "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until("it was accepted",
          lambda: (stuck.program.metric("leat_ingest_records_accepted_total") or 0) >= 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30 * harness.PATIENCE)
    assert process.returncode == 130 and "interrupted" in err
    assert json.loads(out)["accepted"] == 1


@pytest.fixture
def held(make_embedded, wires):
    """`leat send -` and its way to an ingest that was there and says nothing any more, while more
    has come in than may go out without an answer."""
    running = make_embedded("--set", "ingest.unanswered=1")
    way = wires.wire(running.endpoint)
    senders = []

    def begin(*options):
        process = harness.send_in_background(way.endpoint, "-", options=options, stdin=subprocess.PIPE)
        senders.append(process)
        process.stdin.write(json.dumps({"id": "a", "text": "one"}) + "\n")
        process.stdin.flush()
        until("it is stored", lambda: ids(running) == ["a"])
        way.hold(back=False)
        for name in "bcde":
            process.stdin.write(json.dumps({"id": name, "text": "word " * 8000}) + "\n")
        process.stdin.flush()
        until("its second send is in the pipe", lambda: way.held > 100)  # so it has read the first ack
        return process

    yield begin
    for process in senders:
        process.kill()
        process.wait()


def test_a_sender_without_room_is_interrupted_by_the_first_signal(held):
    process = held()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30 * harness.PATIENCE)
    assert process.returncode == 130 and "interrupted" in err
    assert json.loads(out)["accepted"] == 1


def test_a_sender_without_room_gives_up(held):
    seconds = 3 * harness.PATIENCE
    out, err = held("--timeout", str(seconds)).communicate(timeout=30 * harness.PATIENCE)
    assert f"nothing was answered or committed for {seconds} s" in err
    assert json.loads(out)["accepted"] == 1


def test_a_second_client_of_the_name_ends_the_first(folder, stuck):
    path = harness.texts_file(folder / "many.ndjson", range(3000))
    first = subprocess.Popen(
        [harness.BIN / "leat", "send", "--to", stuck.endpoint, "--client", "me", "--json", path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until("it was accepted",
          lambda: (stuck.program.metric("leat_ingest_records_accepted_total") or 0) >= 3000)
    one = ndjson(folder / "a.ndjson", {"id": "a", "text": "one"})
    result = json.loads(leat("send", "--to", stuck.endpoint, "--client", "me", "--json", "--wait",
                             "accepted", one, check=True).stdout)
    assert (result["accepted"], result["committed"]) == (1, 0)
    out, err = first.communicate(timeout=60 * harness.PATIENCE)
    assert first.returncode == 1 and "fenced" in err and "me" in json.loads(out)["error"]


def test_what_comes_through_a_pipe_is_sent_as_it_comes(embedded):
    process = subprocess.Popen(
        [harness.BIN / "leat", "send", "--to", embedded.endpoint, "--json", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for i in range(3):
        process.stdin.write(json.dumps({"id": f"p{i}", "text": f"line {i}"}) + "\n")
        process.stdin.flush()
        until(f"line {i} is stored", lambda: f"p{i}" in ids(embedded))
    out, _ = process.communicate(timeout=30 * harness.PATIENCE)
    assert process.returncode == 0 and json.loads(out)["committed"] == 3


def test_send_waits_for_a_leat_that_starts_again(folder, embedded):
    path = harness.texts_file(folder / "many.ndjson", range(30000))
    process = subprocess.Popen(
        [harness.BIN / "leat", "send", "--to", embedded.endpoint, "--json", path],
        stdout=subprocess.PIPE, text=True)
    until("some are stored", lambda: len(ids(embedded)) > 1000)
    embedded.program.kill()
    embedded.start()
    out, _ = process.communicate(timeout=120 * harness.PATIENCE)
    result = json.loads(out)
    assert process.returncode == 0 and result["committed"] == 30000 == result["accepted"]
    assert len(ids(embedded)) == 30000


def test_several_ingests_share_the_work(folder, make_embedded):
    first = make_embedded()
    with harness.folder() as other:
        second = harness.Embedded(other)
        try:
            path = harness.texts_file(folder / "many.ndjson", range(1000))
            result = send(f"{first.endpoint},{second.endpoint}", path)
            assert result["committed"] == 1000
            a, b = ids(first), ids(second)
            assert len(a) > 300 and len(b) > 300 and not set(a) & set(b)
            send(f"{first.endpoint},{second.endpoint}", path)
            assert (ids(first), ids(second)) == (a, b)
        finally:
            second.close()


def test_a_file_without_a_name_is_told_as_such(embedded):
    done = leat("send", "--to", embedded.endpoint, "")
    assert done.returncode == 1 and "cannot open '': No such file or directory" in done.stderr


def test_the_progress_fits_a_narrow_terminal(embedded):
    """A line that wraps would stay, and the next one come below it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 24, 0, 0))
    process = subprocess.Popen(
        [harness.BIN / "leat", "send", "--to", embedded.endpoint, "--format", "ndjson", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = ""

    def shown_so_far():
        nonlocal shown
        process.stdin.write(b'no record\n{"text": "a good day"}\n')
        process.stdin.flush()
        while select.select([ours], [], [], 0.1)[0]:
            shown += os.read(ours, 65536).decode()
        return re.findall(r"\r\x1b\[K([^\r\n]+)", shown)

    until("a bar is drawn that is cut", lambda: len(shown_so_far()) > 3)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown_so_far()]
    assert max(len(line) for line in lines if "/s" in line) <= 23
    assert any(len(line) == 23 for line in lines)
    process.stdin.close()
    process.wait(60 * harness.PATIENCE)
    os.close(ours)


# --- show and stats -----------------------------------------------------------------------------


def test_show_tells_all_about_a_text(folder, embedded):
    path = ndjson(folder / "a.ndjson", {
        "id": "a", "text": "I love this wonderful hospital, thank you! \x1b[31mred", "verified": True,
        "source_type": "national_media", "reach": 12000, "author": "someone", "lang": "en",
        "url": "https://example.org/1", "published_at": "2026-01-31T12:00:00.5Z"})
    send(embedded.endpoint, path)
    done = leat("show", "--data", embedded.data, "a", check=True)
    for part in ("wonderful hospital", "positive", "joy", "influence", "national_media", "12 000",
                 "someone (verified)", "https://example.org/1", "2026-01-31 12:00:00 UTC"):
        assert part in done.stdout, part
    assert "\x1b" not in done.stdout
    row = json.loads(leat("show", "--data", embedded.data, "--json", "a", check=True).stdout)
    assert row["id"] == "a" and row["verified"] is True and row["reach"] == 12000
    assert row["published_at"] == "2026-01-31T12:00:00.500000Z"
    assert abs(sum(row["emotion_distribution"].values()) - 1) < 1e-6
    assert row["dead_letters"] == [] and isinstance(row["topics"], list)

    done = leat("show", "--data", embedded.data, "nope")
    assert done.returncode == 1 and "no text with the id 'nope'" in done.stderr
    done = leat("show", "--data", folder / "nowhere", "a")
    assert done.returncode == 1 and "there is no store at" in done.stderr


def test_stats_count_what_is_stored(folder, embedded):
    texts = [{"id": f"t{i}", "text": text, "platform": "twitter" if i % 2 else None}
             for i, text in enumerate(["I love it, thank you so much!", "This is terrible, I hate it",
                                       "The meeting is on Monday"] * 10)]
    send(embedded.endpoint, ndjson(folder / "a.ndjson", *texts))
    stats = json.loads(leat("stats", "--data", embedded.data, "--json", check=True).stdout)
    assert stats["texts"] == 30 and stats["store"] == "SQLite"
    for part in ("sentiment", "emotions", "sources"):
        assert sum(row["texts"] for row in stats[part]) == 30
        assert abs(sum(row["share"] for row in stats[part]) - 1) < 1e-5
    assert {row["name"]: row["texts"] for row in stats["sources"]} == {"twitter": 15, None: 15}
    assert stats["dead_letters"] == [] and stats["first_ingested"] <= stats["last_ingested"]
    done = leat("stats", "--data", embedded.data, check=True)
    assert "30 texts in SQLite" in done.stdout and "No dead letters" in done.stdout


@pytest.mark.skipif(os.getuid() != 0, reason="only root may be somebody else")
def test_a_store_of_another_user_is_told_as_such(folder, embedded):
    send(embedded.endpoint, ndjson(folder / "a.ndjson", {"id": "a", "text": "good"}))
    shutil.copy(harness.BIN / "leat", folder / "leat")
    store = embedded.data / "leat.db"
    store.chmod(0o644)
    embedded.data.chmod(0o755)

    def asked(*words):
        return subprocess.run([folder / "leat", *words, "--data", embedded.data], cwd=folder,
                              user="nobody", group="nogroup", extra_groups=[], env={"LANG": "C"},
                              capture_output=True, text=True)

    embedded.program.stop()
    for words in (["stats"], ["dead", "list"]):
        done = asked(*words)
        assert done.returncode == 1
        assert "as the user that Leat runs as" in done.stderr and "no tables" not in done.stderr
    store.chmod(0o600)
    assert f"{store}: Permission denied" in asked("stats").stderr


def test_output_that_finds_no_room_is_told_with_the_reason(folder, embedded):
    send(embedded.endpoint, ndjson(folder / "a.ndjson", {"id": "a", "text": "good " * 2000}))
    for words in (["show", "a"], ["show", "--json", "a"], ["stats"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([harness.BIN / "leat", *words, "--data", embedded.data],
                                  stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1
        assert done.stderr == "leat: cannot write the output: No space left on device\n"


def test_an_empty_store_is_shown_as_such(embedded):
    done = leat("stats", "--data", embedded.data, check=True)
    assert done.stdout.startswith("0 texts")
    assert leat("dead", "list", "--data", embedded.data, check=True).stdout == "0 dead letters\n"


def test_show_stats_and_dead_read_postgresql(folder, postgres, make_embedded):
    running = make_embedded("--store", postgres.conninfo)
    send(running.endpoint, ndjson(folder / "a.ndjson",
                                  {"id": "a", "text": "what a lovely school", "verified": True,
                                   "published_at": 1}))
    push(running.oneway, [{"id": "broken", "text": ""}])
    store = ["--store", postgres.conninfo]
    until("the dead letter is stored", lambda: postgres.query("SELECT 1 FROM dead_letters"))
    row = json.loads(leat("show", *store, "--json", "a", check=True).stdout)
    assert row["verified"] is True and row["published_at"] == "1970-01-01T00:00:00.000001Z"
    assert "lovely school" in leat("show", *store, "a", check=True).stdout
    stats = json.loads(leat("stats", *store, "--json", check=True).stdout)
    assert stats["texts"] == 1 and stats["store"] == "PostgreSQL"
    assert stats["dead_letters"][0]["code"] == "text_empty"
    dead = json.loads(leat("dead", "show", *store, "--json", "--id", "broken", check=True).stdout)
    assert dead["payload"] == {"id": "broken", "text": ""}
    key = dead["key"]
    assert "text_empty" in leat("dead", "show", *store, key, check=True).stdout
    assert leat("dead", "show", *store, key[:8] + key[36:], check=True).returncode == 0


# --- dead letters -------------------------------------------------------------------------------


@pytest.fixture
def grave(folder, make_embedded):
    """A Leat with three dead letters: too long for the setting, and wrong for ever."""
    running = make_embedded("--set", "text.max_bytes=100")
    push(running.oneway, [{"id": "long", "text": "good " * 30}, {"id": "fine", "text": "good"},
                          {"id": "wrong", "text": 5, "raw": b"\x00\xff"}, "no map"])
    until("the dead letters are stored",
          lambda: running.query("SELECT count(*) FROM dead_letters") == [(3,)])
    return running


def test_dead_letters_are_listed_and_shown(grave):
    data = ["--data", grave.data]
    done = leat("dead", "list", *data, check=True)
    assert done.stdout.startswith("3 dead letters\n")
    for part in ("text_too_long", "text_type", "record_not_map", "long: "):
        assert part in done.stdout
    rows = [json.loads(line) for line in
            leat("dead", "list", *data, "--json", check=True).stdout.splitlines()]
    assert [row["id"] for row in rows] == ["long", "wrong", None]
    assert rows[1]["payload"] == {"id": "wrong", "text": 5, "raw": {"bytes": "00ff"}}
    assert rows[2]["payload"] == "no map"
    done = leat("dead", "list", *data, "--limit", 1, check=True)
    assert "--limit 0 shows all" in done.stdout and "wrong: " not in done.stdout
    done = leat("dead", "list", *data, "--limit", "0.5")
    assert done.returncode == 2 and "whole number" in done.stderr
    assert "1 dead letter\n" in leat("dead", "list", *data, "--code", "text_type", check=True).stdout

    origin, seq, record = rows[1]["key"].split(":")
    for key in (rows[1]["key"], f"{origin[:8]}:{seq}:{record}", f"{seq}:{record}"):
        shown = leat("dead", "show", *data, key, check=True).stdout
        assert rows[1]["key"] in shown and "text_type" in shown and '"00ff"' in shown
    done = leat("dead", "show", *data, "99:0")
    assert done.returncode == 1 and "no dead letter matches" in done.stderr
    done = leat("dead", "show", *data, "what")
    assert done.returncode == 2 and "is no key" in done.stderr
    done = leat("show", *data, "long")
    assert done.returncode == 1 and "dead letter" in done.stdout


def test_a_replayed_dead_letter_goes_when_its_record_is_stored(grave, folder):
    data = ["--data", grave.data]
    done = leat("dead", "replay", *data, "--all", "--to", grave.endpoint, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"matched": 3, "sent": 2, "stored": 0, "dead": 0,
                                       "rejected": 3, "error": None}
    version = grave.query("SELECT version FROM dead_letters WHERE id = 'long'")[0][0]
    grave.program.stop()
    grave.arguments = ()
    grave.start()
    done = leat("dead", "replay", *data, "--code", "text_too_long", "--to", grave.endpoint,
                "--json", check=True)
    assert json.loads(done.stdout)["stored"] == 1
    assert grave.query("SELECT id FROM dead_letters ORDER BY record") == [("wrong",), (None,)]
    assert grave.query("SELECT version FROM texts WHERE id = 'long'") == [(version,)]
    done = leat("dead", "replay", *data, "--code", "text_too_long", "--to", grave.endpoint,
                check=True)
    assert "0 replayed of 0" in done.stdout


def test_a_replay_is_judged_by_what_it_read(grave, wires):
    grave.program.stop()
    grave.arguments = ()
    grave.start()
    way = wires.wire(grave.endpoint)
    way.hold()
    process = subprocess.Popen(
        [harness.BIN / "leat", "dead", "replay", "--all", "--data", grave.data, "--to", way.endpoint,
         "--json"], stdout=subprocess.PIPE, text=True)
    until("it has counted and connects", lambda: way.links)
    with contextlib.closing(sqlite3.connect(f"{grave.data}/leat.db", timeout=30)) as store, store:
        store.execute("DELETE FROM dead_letters WHERE id IS NOT 'long'")
    way.release()
    out, _ = process.communicate(timeout=60 * harness.PATIENCE)
    assert json.loads(out) == {"matched": 1, "sent": 1, "stored": 1, "dead": 0, "rejected": 0,
                               "error": None}
    assert process.returncode == 0


def test_a_replay_never_overwrites_what_came_later(grave, folder):
    grave.program.stop()
    grave.arguments = ()
    grave.start()
    send(grave.endpoint, ndjson(folder / "newer.ndjson", {"id": "long", "text": "newer"}))
    leat("dead", "replay", "--data", grave.data, "--id", "long", "--to", grave.endpoint, check=True)
    assert grave.query("SELECT text FROM texts WHERE id = 'long'") == [("newer",)]
    assert grave.query("SELECT id FROM dead_letters WHERE id = 'long'") == []
