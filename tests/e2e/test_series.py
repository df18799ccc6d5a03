"""Time series by the command line and by live clients: what goes in, what is refused, and that it
is the same however it came."""

import contextlib
import csv
import datetime
import gzip
import json
import os
import pty
import signal
import sqlite3
import subprocess

import psycopg2
import pytest

import harness
import test_features
from harness import EXAMPLES, PATIENCE, ROOT, leat
from test_features import SERIES, sample, stored

TABLES = ("features_idx", "features_bqx")
LIVE = {
    "c": [EXAMPLES / "series"],
    "python": ["/usr/bin/python3", ROOT / "proto" / "examples" / "series.py"],
}


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request):
    """One process with SQLite, or many with PostgreSQL."""
    return request.getfixturevalue("embedded" if request.param == "sqlite" else "cluster")


def store_of(running):
    """What tells the commands where the store of it is."""
    if isinstance(running, harness.Embedded):
        return ("--data", running.data)
    return ("--store", running.postgres.conninfo)


def send(running, *files, time="Date", value="close", options=(), status=0, input=None):
    """`leat send --kind series --json`; the object that it prints."""
    names = ("--time", time, "--value", value) if time else ()
    done = leat("send", "--to", running.endpoint, "--kind", "series", "--wait", "committed", "--json",
                *names, *options, *files, input=input)
    assert done.returncode == status, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["sent"] == told["accepted"] + told["rejected"], told
    return told


def write(path, rows, header="Date,close"):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows), ""]))
    return path


def lines_of(name):
    """(time, close) as they stand in a file of tests/data/series."""
    with open(SERIES / f"{name}.csv") as file:
        return [(row["Date"], row["close"]) for row in csv.DictReader(file)]


def same(running, one, other):
    """Are two series the same in every bit, and in every table?"""
    for table in TABLES:
        rows = stored(running, table, one)
        assert rows
        assert rows == stored(running, table, other)


def send_whole(running, name, rows, **more):
    """By another client, as one block: what everything is held against."""
    test_features.send(running.endpoint, test_features.blocks(name, rows, 2000, **more))


# --- files --------------------------------------------------------------------------------------


def test_files_come_out_as_if_sent_by_hand(both, folder):
    packed = folder / "gbpxag.csv.gz"
    packed.write_bytes(gzip.compress((SERIES / "GBPXAG.csv").read_bytes()))
    told = send(both, SERIES / "EURXAU.csv", packed)
    assert (told["sent"], told["committed"], told["dead"], told["error"]) == (2400, 2400, 0, None)
    assert told["blocks"]["committed"] == 2
    for name in ("EURXAU", "GBPXAG"):
        send_whole(both, f"{name}2", sample(name))
        same(both, name, f"{name}2")


def test_sent_twice_every_value_stays_as_it_was(both):
    send(both, SERIES / "EURXAU.csv")
    before = {table: stored(both, table, "EURXAU") for table in TABLES}
    told = send(both, SERIES / "EURXAU.csv")
    assert told["committed"] == 1200
    assert {table: stored(both, table, "EURXAU") for table in TABLES} == before


@pytest.mark.parametrize("rows", [1, 37, 1000])
def test_however_it_is_cut_the_rows_are_the_same(make_embedded, rows):
    running = make_embedded("--set", f"series.max_rows={rows}")
    told = send(running, SERIES / "EURXAU.csv", options=["--series", "CUT"])
    assert told["blocks"]["sent"] == -(-1200 // rows)
    running.program.stop()
    running.arguments = ()
    running.start()
    send(running, SERIES / "EURXAU.csv", options=["--series", "WHOLE"])
    same(running, "CUT", "WHOLE")


def test_the_client_follows_the_windows_of_the_server(make_embedded):
    """Windows and limits are ingest's to say: the command line needs no settings for it."""
    running = make_embedded("--set", "regress.windows=long=200,short=7", "--set", "series.max_rows=100")
    told = send(running, SERIES / "EURXAU.csv")
    assert (told["committed"], told["dead"], told["blocks"]["sent"]) == (1200, 0, 12)
    assert running.query("SELECT count(*), count(a2_long), count(b_short) FROM features_bqx") == [
        (1200, 1200 - 199 - 15, 1200 - 6 - 15)]


def test_months_may_stand_alone(embedded):
    send(embedded, SERIES / "EURXAU.csv", options=["--reset", "month"])
    send_whole(embedded, "BY_HAND", sample("EURXAU"), reset="month")
    same(embedded, "EURXAU", "BY_HAND")
    undefined = embedded.query("SELECT count(*) FROM features_bqx WHERE series = 'EURXAU' AND a2_w15 IS NULL "
                               "AND ts BETWEEN '2024-12' AND '2025'")
    assert undefined == [(29,)], "15 rows of bqx, and the window's first 14"


def test_the_base_is_the_first_close_or_as_told(embedded, folder):
    send(embedded, SERIES / "EURXAU.csv", options=["--series", "A"])
    send(embedded, SERIES / "EURXAU.csv", options=["--series", "B", "--base", "1.07356"])
    closes = [float(close) for _, close in lines_of("EURXAU")]
    for series, base in (("A", closes[0]), ("B", 1.07356)):
        values = embedded.query("SELECT value FROM features_idx WHERE series = ? ORDER BY ts", series)
        assert [value for value, in values] == [100 * close / base for close in closes]


def test_a_hundred_files_at_once(both, folder):
    lines = lines_of("GBPXAG")
    files = [write(folder / f"s{i:03}.csv", lines[i:i + 300]) for i in range(100)]
    told = send(both, *files)
    assert (told["committed"], told["rejected"]) == (30000, 0)
    rows = sample("GBPXAG")
    for i in (0, 57, 99):
        send_whole(both, f"HAND{i}", rows[i:i + 300])
        same(both, f"S{i:03}", f"HAND{i}")


def test_times_may_be_written_in_many_ways(embedded, folder):
    at = [datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(days=i)
          for i in range(40)]
    seconds = [int(t.timestamp()) for t in at]
    ways = {
        "plain": [f"{t:%Y-%m-%d %H:%M:%S}" for t in at],
        "date": [f"{t:%Y-%m-%d}" for t in at],
        "minutes": [f"{t:%Y-%m-%dT%H:%M}" for t in at],
        "rfc3339": [t.isoformat().replace("+00:00", "Z") for t in at],
        "offset": [(t + datetime.timedelta(hours=5.5)).strftime("%Y-%m-%dT%H:%M:%S+05:30") for t in at],
        "short_offset": [(t - datetime.timedelta(hours=3)).strftime("%Y-%m-%d %H:%M-03:00") for t in at],
        "fraction": [f"{t:%Y-%m-%d %H:%M:%S}.000000" for t in at],
        "seconds": seconds,
        "seconds_with_a_point": [f"{s}.0" for s in seconds],
        "milliseconds": [s * 1000 for s in seconds],
        "microseconds": [s * 10**6 for s in seconds],
        "nanoseconds": [s * 10**9 for s in seconds],
    }
    for name, times in ways.items():
        told = send(embedded, write(folder / f"{name}.csv", [(t, 1 + i / 64) for i, t in enumerate(times)]))
        assert told["accepted"] == 40, told
        same(embedded, name.upper(), "PLAIN")
    assert embedded.query("SELECT min(ts), max(ts) FROM features_idx WHERE series = 'DATE'") == [
        ("2024-01-01T00:00:00.000000Z", "2024-02-09T00:00:00.000000Z")]


def test_domains_may_come_ready_made(embedded, folder):
    send(embedded, SERIES / "EURXAU.csv")
    rows = embedded.query("SELECT b.ts, b.value, i.value FROM features_bqx b JOIN features_idx i USING "
                          "(series, ts) WHERE b.value IS NOT NULL ORDER BY b.ts")
    ready = write(folder / "ready.csv", rows, "ts,swing,idx")
    told = send(embedded, ready, time=None, options=["--domain", "bqx=swing", "--domain", "idx"])
    assert told["committed"] == 1185
    swing = stored(embedded, "features_bqx", "EURXAU")[15:]
    assert stored(embedded, "features_bqx", "READY") == swing
    assert leat("tail", *store_of(embedded), "READY").returncode == 1


# --- what is refused ----------------------------------------------------------------------------

BAD_ROWS = [
    ("2024-01-01 00:00:00,1.0", None),
    ("2024-01-01 01:00:00,abc", "close_value"),
    ("2024-01-01 02:00:00,NaN", "close_not_finite"),
    ("2024-01-01 01:30:00,1.1", None),
    ("2024-01-01 01:30:00,1.2", "ts_not_increasing"),
    ("2024-01-01 00:30:00,1.2", "ts_not_increasing"),
    ("90000-01-01 00:00:00,1.2", "ts_value"),
    ("9000-01-01 00:00:00,1.2", "ts_range"),
    ("1899-12-31,1.2", "ts_range"),
    ("2024-02-30,1.2", "ts_value"),
    ("2024-01-01 03:00:00,inf", "close_not_finite"),
    ("2024-01-01 03:00:00,-Infinity", "close_not_finite"),
    ("2024-01-01 04:00:00,1e999", "close_not_finite"),
    ("2024-01-01 04:00:00,1e308", "close_range"),
    ("2024-01-01 05:00:00,", "close_missing"),
    ("2024-01-01 05:00:00", "column_count"),
    ("2024-01-01 05:00:00,1,2", "column_count"),
    (",1.5", "ts_missing"),
    ("yesterday,1.5", "ts_value"),
    ("2024-01-01 06:00:00,0x10", "close_value"),
    ("2024-01-01 06:00:00,1.5 USD", "close_value"),
    ("2024-01-01 06:00:00,1e", "close_value"),
    ('2024-01-01 06:00:00,"1.', "csv_broken"),
    ('"2024-01-01 06:00:00"," 1.25"', None),
]


def test_a_bad_row_is_named_and_left_out(both, folder):
    path = folder / "bad.csv"
    path.write_text("\n".join(["Date,close", *(line for line, _ in BAD_ROWS), ""]))
    told = send(both, path)
    assert [(r["line"], r["code"]) for r in told["rejects"]] == [
        (number, code) for number, (_, code) in enumerate(BAD_ROWS, 2) if code]
    assert all(r["file"] == str(path) and r["reason"] for r in told["rejects"])
    assert (told["accepted"], told["committed"]) == (3, 3)
    assert [row[0] for row in both.query("SELECT close FROM features_idx ORDER BY ts")] == [1.0, 1.1, 1.25]


def test_a_bad_file_is_refused_and_the_rest_goes_in(embedded, folder):
    good = write(folder / "good.csv", lines_of("EURXAU")[:50])
    (folder / "other").mkdir()
    again = write(folder / "other" / "Good.csv", lines_of("EURXAU")[:60])
    (folder / "empty.csv").write_text("")
    (folder / "header.csv").write_text("Date,close\n")
    write(folder / "column.csv", [("2024-01-01", 1)], "Date,open")
    write(folder / "case.csv", [("2024-01-01", 1)], "date,close")
    write(folder / "twice.csv", [("2024-01-01", 1, 2)], "Date,close,close")
    (folder / "utf16.csv").write_bytes("Date,close\n2024-01-01,1\n".encode("utf-16"))
    (folder / ("x" * 129 + ".csv")).write_text("Date,close\n2024-01-01,1\n")
    cut = folder / "cut.csv.gz"
    cut.write_bytes(gzip.compress((SERIES / "GBPXAG.csv").read_bytes())[:4000])
    bad = {"empty.csv": "empty", "header.csv": "empty", "column.csv": "column_missing",
           "case.csv": "column_missing", "twice.csv": "column_missing", "utf16.csv": "unreadable",
           "missing.csv": "unreadable", "x" * 129 + ".csv": "series_name"}
    told = send(embedded, *(folder / name for name in bad), good, again, cut, SERIES / "EURXAU.csv", status=1)
    assert {(r["file"], r["line"], r["code"]) for r in told["rejects"]} == {
        *((str(folder / name), 1, code) for name, code in bad.items()), (str(again), 1, "series_twice")}
    assert told["error"] and told["committed"] == told["accepted"]
    counts = dict(embedded.query("SELECT series, count(*) FROM features_idx GROUP BY series"))
    assert counts.pop("CUT") > 50, "what came before the damage is in"
    assert counts == {"GOOD": 50, "EURXAU": 1200}


def test_a_name_that_is_no_text_is_told_as_well_as_can_be(embedded, folder):
    bad = bytes(folder) + b"/b\xe4d.csv"
    with open(bad, "w") as file:
        file.write("Date,open\n")
    done = subprocess.run([harness.BIN / "leat", "send", "--to", embedded.endpoint, "--kind", "series", "--json",
                           "--series", "BAD", "--time", "Date", bad], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    told = json.loads(done.stdout)
    assert done.returncode == 1 and "b?d.csv" in told["error"]
    assert told["rejects"][0]["code"] == "column_missing" and told["rejects"][0]["file"] == "file 1 of the command line"


def test_a_missing_column_is_told_once_with_the_option_that_names_it(embedded, folder):
    path = write(folder / "x.csv", [("2024-01-01", 1)], "Day,price")
    for words, said in ((("--time", "Date"), "no column 'Date' in the file: it has Day, price; use --time NAME"),
                        (("--time", "Day"), "no column 'close' in the file: it has Day, price; use --value NAME"),
                        (("--time", "Day", "--domain", "bqx"), "use --domain bqx=NAME")):
        done = leat("send", "--to", embedded.endpoint, "--kind", "series", *words, path)
        line = next(line for line in done.stderr.splitlines() if "column" in line)
        assert done.returncode == 1 and said in line and line.count("x.csv") == 1


def test_the_unit_of_numbers_is_the_first_ones(embedded, folder):
    path = write(folder / "epoch.csv", [(1700000000, 1), (2777788800000, 1), (1700003600, 2)])
    told = send(embedded, path)
    assert [(r["line"], r["code"]) for r in told["rejects"]] == [(3, "ts_range")]


@pytest.mark.parametrize("arguments, said", [
    (["-"], "--series"),
    (["--reset", "year", "x.csv"], "--reset"),
    (["--base", "0", "x.csv"], "--base"),
    (["--base", "one", "x.csv"], "--base"),
    (["--after", "soon", "x.csv"], "--after"),
    (["--start", "x.csv"], "--after"),
    (["--query", "SELECT 1"], "--from-postgres"),
    (["--from-postgres", "dbname=x"], "--query"),
    (["--from-postgres", "dbname=x", "--query", "SELECT 1", "x.csv"], "x.csv"),
    (["--domain", "bqx", "--value", "close", "x.csv"], "--domain"),
    (["--field", "close=bid", "x.csv"], "--value"),
    ([], "file"),
])
def test_words_that_make_no_sense_are_refused(arguments, said):
    done = leat("send", "--kind", "series", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_words_of_series_are_none_of_texts():
    done = leat("send", "--base", "1", "x.csv")
    assert done.returncode == 2 and "--kind series" in done.stderr


# --- going on -----------------------------------------------------------------------------------


def test_a_series_goes_on_after_its_tail(both, folder):
    lines = lines_of("EURXAU")
    send(both, SERIES / "EURXAU.csv", options=["--series", "WHOLE"])
    send(both, write(folder / "live.csv", lines[:700]))
    tail = json.loads(leat("tail", "--json", *store_of(both), "LIVE", check=True).stdout)
    assert (tail["series"], tail["base"], tail["start"]) == ("LIVE", float(lines[0][1]), False)
    assert len(tail["rows"]) == 526, "enough for any windows"
    text = leat("tail", "--time", "Date", *store_of(both), "LIVE", check=True).stdout
    assert len(text.splitlines()) == 527
    later = folder / "later.csv"
    later.write_text(text + "".join(f"{time},{close}\n" for time, close in lines[700:]))
    told = send(both, later, options=["--series", "LIVE", "--base", tail["base"], "--after",
                                      tail["rows"][-1]["ts"]])
    assert (told["sent"], told["committed"], told["passed"]) == (500, 500, 526)
    same(both, "LIVE", "WHOLE")


def test_rows_that_would_be_computed_from_too_few_are_refused(embedded, folder):
    """Good rows in the store are not overwritten with NULLs by accident."""
    send(embedded, SERIES / "EURXAU.csv", options=["--series", "A"])
    before = stored(embedded, "features_idx", "A")
    part = write(folder / "part.csv", lines_of("EURXAU")[600:])
    told = send(embedded, part, options=["--series", "A", "--base", lines_of("EURXAU")[0][1],
                                         "--after", lines_of("EURXAU")[610][0]])
    assert [(r["line"], r["rows"], r["code"]) for r in told["rejects"]] == [(13, 93, "warmup_short")]
    assert (told["sent"], told["passed"], told["committed"]) == (589, 11, 496)
    assert stored(embedded, "features_idx", "A") == before
    told = send(embedded, part, options=["--series", "B", "--after", lines_of("EURXAU")[610][0], "--start"])
    assert told["committed"] == 589 and not told["rejects"]


def test_the_tail_of_a_short_series_is_its_start(embedded, folder):
    send(embedded, write(folder / "short.csv", lines_of("EURXAU")[:20]))
    tail = json.loads(leat("tail", "--json", *store_of(embedded), "SHORT", check=True).stdout)
    assert tail["start"] and len(tail["rows"]) == 20
    tail = json.loads(leat("tail", "--json", "--rows", 3, *store_of(embedded), "SHORT", check=True).stdout)
    assert not tail["start"] and len(tail["rows"]) == 3
    missing = leat("tail", *store_of(embedded), "NOTHING")
    assert missing.returncode == 1 and "NOTHING" in missing.stderr


@pytest.mark.parametrize("language", LIVE)
def test_a_live_client_sends_point_by_point_and_is_started_again(embedded, folder, language):
    lines = lines_of("EURXAU")[:400]
    base = lines[0][1]
    send(embedded, write(folder / "whole.csv", lines))

    def live(points, *tail):
        text = "".join(f"{time.replace(' ', 'T')}.000000Z,{close}\n" for time, close in points)
        done = subprocess.run([*LIVE[language], embedded.endpoint, "LIVE", base, *tail], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120 * PATIENCE)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"accepted {len(points)} rejected 0 committed {len(points)} dead 0\n"

    def tail():
        path = folder / "tail.csv"
        path.write_text(leat("tail", *store_of(embedded), "LIVE", check=True).stdout)
        return path

    live(lines[:60])
    live(lines[60:250], tail())
    live(lines[250:], tail())
    same(embedded, "LIVE", "WHOLE")


# --- a query ------------------------------------------------------------------------------------


def test_a_query_is_streamed_in_order(cluster, postgres):
    postgres.query("CREATE TABLE bars (pair varchar(16), at timestamp, bid numeric)")
    for name in ("EURXAU", "GBPXAG"):
        times, closes = zip(*reversed(lines_of(name)))
        postgres.query("INSERT INTO bars SELECT %s, * FROM unnest(%s::timestamp[], %s::numeric[])",
                       name, list(times), list(closes))
    postgres.query("INSERT INTO bars VALUES ('EURXAU', '2024-11-18 00:30', NULL), (NULL, '2024-11-18', 1),"
                   " ('EURXAU', 'infinity', 1), ('GBPXAG', NULL, 1), ('GBPXAG', '2024-11-18 00:00', 2),"
                   " ('EURXAU', '2024-11-18 00:31', 'NaN')")
    told = send(cluster, time=None, options=["--from-postgres", postgres.conninfo, "--query",
                                             "SELECT pair, at, bid FROM bars;"])
    assert sorted(r["code"] for r in told["rejects"]) == [
        "close_missing", "close_not_finite", "series_missing", "ts_missing", "ts_not_increasing", "ts_range"]
    assert told["committed"] == 2400
    send_whole(cluster, "HAND", sample("EURXAU"))
    same(cluster, "EURXAU", "HAND")


def test_a_query_that_fails_is_told(embedded, postgres):
    # One is refused as it is described, one is no SQL, one fails while its rows come.
    for query in ("SELECT 1", "SELEC", "SELECT 'a', now(), 1/(n - 1) FROM generate_series(1, 2) AS n"):
        done = leat("send", "--to", embedded.endpoint, "--kind", "series", "--json", "--from-postgres",
                    postgres.conninfo, "--query", query)
        assert done.returncode == 1, done.stdout
        assert "PostgreSQL" in done.stderr
    done = leat("send", "--to", embedded.endpoint, "--kind", "series", "--from-postgres",
                "host=/nowhere", "--query", "SELECT 1")
    assert done.returncode == 1 and "nowhere" in done.stderr


# --- looking and deleting -----------------------------------------------------------------------


def test_one_row_is_shown_with_everything(both):
    send(both, SERIES / "EURXAU.csv")
    row = sample("EURXAU")[500]
    at = datetime.datetime.fromtimestamp(row[0] / 10**6, datetime.timezone.utc)
    shown = json.loads(leat("show", "--json", *store_of(both), "--at", f"{at:%Y-%m-%dT%H:%M:%SZ}", "EURXAU",
                            check=True).stdout)
    assert shown["features_idx"]["close"] == row[1]
    for table in TABLES:
        names = [name for name in shown[table] if name not in ("version", "origin", "close")]
        expected = both.query(f"SELECT {', '.join(names)} FROM {table} ORDER BY ts")[500]
        assert tuple(shown[table][name] for name in names) == tuple(expected)
        assert len(names) == 91
    plain = leat("show", *store_of(both), "--at", f"{at + datetime.timedelta(minutes=5):%Y-%m-%d %H:%M}",
                 "EURXAU", check=True).stdout
    assert str(row[1]) in plain and "prediction" in plain and "bqx" in plain and "at or before" in plain
    assert max(map(len, plain.splitlines())) <= 100
    assert leat("show", *store_of(both), "--at", "2000-01-01", "EURXAU").returncode == 1


def test_pictures_are_drawn(both, folder):
    send(both, SERIES / "EURXAU.csv")
    svg, png = folder / "a.svg", folder / "b.png"
    leat("plot", *store_of(both), "EURXAU", "--output", svg, check=True)
    assert b"<svg" in svg.read_bytes() and svg.stat().st_size > 20000
    leat("plot", *store_of(both), "EURXAU", "--domain", "bqx", "--metric", "r2_agg", "--from", "2024-12-01",
         "--to", "2024-12-10", "--output", png, check=True)
    assert png.read_bytes().startswith(b"\x89PNG")
    for wrong in (["--metric", "r2"], ["--metric", "r2_agg; DROP TABLE texts"], ["--output", "a.gif"]):
        assert leat("plot", *store_of(both), "EURXAU", *wrong).returncode == 2
    for missing in (["--metric", "r2_w16"], ["--domain", "nothing"], ["--from", "2030-01-01"]):
        assert leat("plot", *store_of(both), "EURXAU", *missing, "--output", svg).returncode == 1
    bare = leat("plot", *store_of(both), "EURXAU", "--output", svg, environment={"PATH": str(folder)})
    assert bare.returncode == 1 and "gnuplot-nox" in bare.stderr


def test_a_picture_that_cannot_be_written_is_told_in_one_line(embedded, folder):
    send(embedded, SERIES / "EURXAU.csv")
    path = folder / "nowhere" / "x.svg"
    done = leat("plot", *store_of(embedded), "EURXAU", "--output", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"leat plot: cannot write {path}: No such file or directory\n"


def test_a_metric_or_a_domain_that_is_not_stored_is_told_with_those_that_are(both, folder):
    send(both, SERIES / "EURXAU.csv")
    for words, said in ((["--metric", "prediction_w61"], "prediction_w60"), (["--domain", "foo"], "bqx")):
        done = leat("plot", *store_of(both), "EURXAU", *words, "--output", folder / "x.svg")
        assert (done.returncode, done.stdout) == (1, "")
        assert f"'{words[1]}' is stored; there are " in done.stderr and said in done.stderr


def ingest_of(running):
    if isinstance(running, harness.Embedded):
        return ("--set", f"run.http={running.program.http_address}", "--set", "ingest.http=")
    return ("--set", f"ingest.http={running['ingest'].http_address}", "--set", "run.http=")


def test_rows_are_deleted(both):
    send(both, SERIES / "EURXAU.csv", SERIES / "GBPXAG.csv")
    words = ["delete", *store_of(both), *ingest_of(both), "--series", "EURXAU", "--json"]
    refused = leat(*words)
    assert refused.returncode == 1 and "--yes" in refused.stderr
    part = [ts for ts, _ in sample("EURXAU") if ts >= 1733011200000000 and ts < 1735689600000000]
    done = leat(*words, "--yes", "--from", "2024-12-01", "--to", "2025-01-01", check=True)
    assert json.loads(done.stdout)["deleted"] == 2 * len(part)
    assert both.query("SELECT count(*) FROM features_bqx") == [(2400 - len(part),)]
    leat(*words, "--yes", check=True)
    for table in TABLES:
        assert both.query(f"SELECT series, count(*) FROM {table} GROUP BY series") == [("GBPXAG", 1200)]
    assert json.loads(leat(*words, "--yes", check=True).stdout)["deleted"] == 0
    assert leat("delete", *store_of(both), "--yes").returncode == 2


def test_deleting_where_there_is_no_store_says_where_one_may_be(folder):
    done = leat("delete", "--data", folder / "nowhere", "--series", "EURXAU", "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no store at" in done.stderr and "--data DIR or --store URL" in done.stderr


def execute(running, *sql):
    """As whoever owns the store may do."""
    open_it = (sqlite3.connect(running.data / "leat.db") if isinstance(running, harness.Embedded)
               else psycopg2.connect(running.postgres.conninfo))
    with contextlib.closing(open_it) as db:
        for one in sql:
            db.cursor().execute(one)
        db.commit()


def test_who_is_asked_is_told_how_many_rows_of_all_tables(both):
    """Of those that are Leat's."""
    send(both, SERIES / "EURXAU.csv")
    execute(both, "CREATE TABLE features_catalog (name text)",
            "CREATE TABLE features_daily (series text, ts text, mean float8)",
            "INSERT INTO features_daily (series) VALUES ('EURXAU')")
    at = ("--at", "2030-01-01", "EURXAU")
    assert [name for name in json.loads(leat("show", "--json", *store_of(both), *at, check=True).stdout)
            if name.startswith("features_")] == list(TABLES)
    mine, its = pty.openpty()
    with subprocess.Popen(
            [harness.BIN / "leat", "delete", *map(str, store_of(both)), *ingest_of(both), "--series", "EURXAU",
             "--json"], stdin=its, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.write(mine, b"y\n")
        done, asked = process.communicate(timeout=60 * harness.PATIENCE)
    os.close(mine)
    os.close(its)
    assert b"delete 2 400 rows (of all tables) of EURXAU" in asked
    assert json.loads(done)["deleted"] == 2400
    assert both.query("SELECT count(*) FROM features_daily") == [(1,)]


def test_nothing_is_deleted_while_blocks_are_in_flight(cluster):
    send(cluster, SERIES / "EURXAU.csv")
    persist = cluster["persist"].process
    persist.send_signal(signal.SIGSTOP)
    try:
        leat("send", "--to", cluster.endpoint, "--kind", "series", "--time", "Date", "--wait", "accepted",
             SERIES / "GBPXAG.csv", check=True)
        refused = leat("delete", *store_of(cluster), *ingest_of(cluster), "--series", "EURXAU", "--yes")
        assert refused.returncode == 1 and "in flight" in refused.stderr
    finally:
        persist.send_signal(signal.SIGCONT)
    assert cluster.query("SELECT count(*) FROM features_idx WHERE series = 'EURXAU'") == [(1200,)]
    harness.until("the other is stored", lambda: cluster.query(
        "SELECT count(*) FROM features_idx WHERE series = 'GBPXAG'") == [(1200,)])
    leat("delete", *store_of(cluster), *ingest_of(cluster), "--series", "EURXAU", "--yes", check=True)


def test_what_came_while_a_person_was_asked_is_in_flight_as_well(cluster):
    send(cluster, SERIES / "EURXAU.csv")
    mine, its = pty.openpty()
    process = subprocess.Popen(
        [harness.BIN / "leat", "delete", *map(str, store_of(cluster)), *ingest_of(cluster),
         "--series", "EURXAU"], stdin=its, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    persist = cluster["persist"].process
    try:
        asked = b""
        while not asked.endswith(b"[y/N] "):
            asked += process.stderr.read(1)
        persist.send_signal(signal.SIGSTOP)
        leat("send", "--to", cluster.endpoint, "--kind", "series", "--time", "Date", "--wait", "accepted",
             SERIES / "GBPXAG.csv", check=True)
        os.write(mine, b"y\n")
        _, said = process.communicate(timeout=60 * harness.PATIENCE)
    finally:
        persist.send_signal(signal.SIGCONT)
        process.kill()
        os.close(mine)
        os.close(its)
    assert process.returncode == 1 and b"in flight" in said
    assert cluster.query("SELECT count(*) FROM features_idx WHERE series = 'EURXAU'") == [(1200,)]
