"""The series flow from outside: blocks packed by hand, and what is in the store then, held against
exact fits in rational numbers."""

import csv
import datetime
import fractions
import math
import random
import struct
import time

import msgpack
import pytest

import harness
from harness import PATIENCE, ROOT

SERIES = ROOT / "tests" / "data" / "series"
WINDOWS = {"w15": 15, "w30": 30, "w45": 45, "w60": 60, "w75": 75, "agg": 90}
WARMUP = 104
NEVER_CUT = 2000
UTC = datetime.timezone.utc


def sample(name):
    """[(µs, close)] of a file of tests/data/series."""
    with open(SERIES / f"{name}.csv") as lines:
        return [(int(datetime.datetime.fromisoformat(row["Date"]).replace(tzinfo=UTC).timestamp()) * 10**6,
                 float(row["close"])) for row in csv.DictReader(lines)]


def blocks(name, rows, size, packed=True, **more):
    """The whole of a series as packed blocks of `size` output rows."""
    for begin in range(0, len(rows), size):
        warmup = min(begin, WARMUP)
        part = rows[begin - warmup:begin + size]
        ts, close = zip(*part)
        yield msgpack.packb({
            "series": name, "base": rows[0][1], "warmup": warmup, "start": warmup == begin,
            "ts": struct.pack(f"<{len(ts)}q", *ts) if packed else ts,
            "close": struct.pack(f"<{len(ts)}d", *close) if packed else close, **more})


def send(endpoint, records, at_once=1):
    """Sends packed blocks, `at_once` in each send, and waits until they are committed."""
    refused = []
    client = harness.example.Client(
        endpoint, on_reject=lambda tag, code, reason: refused.append((tag, code, reason)))
    records = list(records)
    for i in range(0, len(records), at_once):
        part = records[i:i + at_once]
        client.send("series", part, list(range(i, i + len(part))))
    assert client.wait(client.all_committed, 120 * PATIENCE)
    assert client.accepted == len(records) - len(refused)
    return client, refused


def stored(leat, table, series):
    """Its rows in the order of time, without series, version and origin."""
    columns = [f"{metric}_{window}" for window in WINDOWS for metric in METRICS]
    names = ", ".join(["ts", "value", *columns])
    return leat.query(f"SELECT {names} FROM {table} WHERE series = '{series}' ORDER BY ts")


METRICS = ("a2", "a1", "b", "r2", "rmse", "residual_mean", "residual_std", "pred_interval_lower",
           "pred_interval_upper", "prediction", "vertex_x", "vertex_y", "curvature", "fit_quality",
           "extrapolation_error")


# --- the reference ------------------------------------------------------------------------------


def exact_fit(values):
    """a2, a1, b, rmse, prediction and max |y - mean| of a window, without any rounding before the
    last step: the normal equations in t = i - (n-1)/2 are solved in rational numbers."""
    n = len(values)
    y = [fractions.Fraction(value) for value in values]
    t = [fractions.Fraction(2 * i - n + 1, 2) for i in range(n)]
    s2, s4 = sum(u**2 for u in t), sum(u**4 for u in t)
    ty, t2y, sy = sum(u * v for u, v in zip(t, y)), sum(u * u * v for u, v in zip(t, y)), sum(y)
    c2 = (n * t2y - s2 * sy) / (n * s4 - s2 * s2)
    c1 = ty / s2
    c0 = (sy - c2 * s2) / n
    ss_res = sum((v - (c2 * u * u + c1 * u + c0)) ** 2 for u, v in zip(t, y))
    scale2 = fractions.Fraction(n * n - 1, 12)
    last = t[-1]
    return {"a2": float(c2 * scale2), "a1": float(c1) * math.sqrt(scale2), "b": float(c0),
            "rmse": math.sqrt(ss_res / n), "prediction": float(c2 * last * last + c1 * last + c0),
            "spread": float(max(abs(v - sy / n) for v in y))}


def bqx(idx):
    """None for the first 15 rows; the sum is made in the documented order."""
    out = [None] * 15
    for t in range(15, len(idx)):
        total = 0.0
        for i in range(1, 16):
            total += idx[t - i] - idx[t]
        out.append(1 / idx[t] * total)
    return out


def assert_exact(rows, values, chance, samples):
    """Rows of a table against the values of its domain: all values, windows that are undefined, and
    figures of some rows."""
    assert len(rows) == len(values)
    assert [row[1] for row in rows] == values
    first = next(i for i, value in enumerate(values) if value is not None)
    for w, (window, n) in enumerate(WINDOWS.items()):
        at = 2 + 15 * w
        for i, row in enumerate(rows):
            assert (row[at] is None) == (i - first + 1 < n), (window, i)
            assert (None in row[at:at + 15]) == (row[at] is None)
        for i in chance.sample(range(first + n - 1, len(rows)), samples):
            row = dict(zip(METRICS, rows[i][at:at + 15]))
            fit = exact_fit(values[i - n + 1:i + 1])
            for metric in ("a2", "a1", "b", "rmse", "prediction"):
                allowed = 1e-9 * abs(fit[metric]) + 1e-12 * fit["spread"]
                assert abs(row[metric] - fit[metric]) <= allowed, (window, i, metric)


def assert_stored_exactly(leat, name, rows, samples):
    chance = random.Random(name)
    idx = [100 * close / rows[0][1] for _, close in rows]
    assert_exact(stored(leat, "features_idx", name), idx, chance, samples)
    assert_exact(stored(leat, "features_bqx", name), bqx(idx), chance, samples)
    closes = leat.query(f"SELECT close FROM features_idx WHERE series = '{name}' ORDER BY ts")
    assert [row[0] for row in closes] == [close for _, close in rows]


# --- promises -----------------------------------------------------------------------------------


def test_the_samples_come_out_exact_from_sqlite(embedded):
    for name in ("EURXAU", "GBPXAG"):
        rows = sample(name)
        send(embedded.endpoint, blocks(name, rows, NEVER_CUT))
        assert_stored_exactly(embedded, name, rows, 20)


def test_the_samples_come_out_exact_from_postgresql(cluster):
    for name in ("EURXAU", "GBPXAG"):
        rows = sample(name)
        send(cluster.endpoint, blocks(name, rows, 150), at_once=4)
        assert_stored_exactly(cluster, name, rows, 20)
    partitions = cluster.query("SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid"
                               " WHERE inhparent = 'features_bqx'::regclass ORDER BY 1")
    assert [name for name, in partitions] == [
        "features_bqx_2024_11", "features_bqx_2024_12", "features_bqx_2025_01"]


@pytest.mark.parametrize("reset", ["none", "month"])
def test_any_cutting_gives_the_same_rows(embedded, reset):
    rows = sample("EURXAU")
    for size in (NEVER_CUT, 1000, 137, 11):
        send(embedded.endpoint, blocks(f"CUT{size}", rows, size, packed=size % 2, reset=reset), at_once=7)
    for table in ("features_idx", "features_bqx"):
        whole = stored(embedded, table, f"CUT{NEVER_CUT}")
        assert len(whole) == len(rows)
        for size in (1000, 137, 11):
            assert stored(embedded, table, f"CUT{size}") == whole


def test_sent_again_every_value_stays_as_it_was(cluster):
    rows = sample("EURXAU")
    send(cluster.endpoint, blocks("EURXAU", rows, 500))
    before = stored(cluster, "features_bqx", "EURXAU")
    send(cluster.endpoint, blocks("EURXAU", rows, 333))
    assert stored(cluster, "features_bqx", "EURXAU") == before
    send(cluster.endpoint, blocks("EURXAU", rows[:200], 200))  # what is not sent again stays
    assert stored(cluster, "features_bqx", "EURXAU") == before


def test_a_hundred_series_interleaved_are_right(cluster):
    rows = sample("GBPXAG")
    parts = {f"S{i:03}": rows[2 * i:2 * i + 400] for i in range(100)}
    cut = [list(blocks(name, part, 90)) for name, part in parts.items()]
    send(cluster.endpoint, [record for turn in zip(*cut) for record in turn], at_once=13)
    for name in ("S000", "S050", "S099"):
        assert_stored_exactly(cluster, name, parts[name], 3)
    assert cluster.query("SELECT count(*), count(DISTINCT series) FROM features_idx") == [(40000, 100)]


@pytest.mark.parametrize("stage", ["regress", "persist", "ingest"])
def test_a_killed_process_loses_no_row(make_cluster, stage):
    cluster = make_cluster(regress=2)
    rows = [(1704067200000000 + i * 60000000, 1.07 + math.sin(i * 0.1) * 1e-3) for i in range(30000)]
    client = harness.example.Client(cluster.endpoint)
    for i, block in enumerate(blocks("EURUSD", rows, 500)):
        client.send("series", [block], [i])
        if i == 20:
            cluster[stage].kill()
            time.sleep(0.1)  # the load goes on without it for a moment
            cluster.start(stage).wait_ready()
    assert client.wait(client.all_committed, 120 * PATIENCE)
    assert (client.accepted, client.committed, client.dead) == (60, 60, 0)
    for table in ("features_idx", "features_bqx"):
        assert cluster.query(f"SELECT count(*), count(DISTINCT ts), count(a2_w15) FROM {table}") == [
            (30000, 30000, 30000 - 14 - (15 if table == "features_bqx" else 0))]


def test_bad_blocks_are_refused_by_name_and_the_rest_goes_in(embedded):
    rows = sample("EURXAU")
    good = list(blocks("GOOD", rows, 100))[0]

    def broken(**more):
        return msgpack.packb({**msgpack.unpackb(good), "series": "BAD", **more})

    nan = struct.pack("<100d", *[math.nan] * 100)
    far = [ts for ts, _ in rows[:99]] + [86400 * 365 * 90000 * 10**6]
    _, refused = send(embedded.endpoint, [
        broken(ts=[rows[0][0]] * 100), broken(ts=far), broken(close=nan), broken(close=["1"] * 100),
        broken(close=None), broken(start=False), broken(base=0), good], at_once=8)
    assert [code for _, code, _ in refused] == [
        "ts_not_increasing", "ts_range", "close_not_finite", "close_value", "values_missing",
        "warmup_short", "base_range"]
    assert "104" in refused[5][2]
    assert embedded.query("SELECT series, count(*) FROM features_idx GROUP BY series") == [("GOOD", 100)]


def test_columns_may_come_ready_made(make_embedded):
    leat = make_embedded("--set", "series.columns=spread,idx")
    rows = sample("EURXAU")[:300]
    values = [close for _, close in rows]
    send(leat.endpoint, [msgpack.packb({
        "series": "X", "ts": [ts for ts, _ in rows], "start": True, "columns": {"spread": values}})])
    assert_exact(stored(leat, "features_spread", "X"), values, random.Random(1), 20)
    assert leat.query("SELECT count(*) FROM features_idx") == [(0,)]


def test_wrong_windows_are_refused_at_the_start(folder):
    done = harness.leat("run", "--data", folder / "data", "--listen",
                        f"tcp://127.0.0.1:{harness.free_port()}", "--set", "regress.windows=w15=1")
    assert done.returncode != 0
    assert "regress.windows" in done.stderr and "3 to 512" in done.stderr
