#!/usr/bin/python3
"""Sends the points of one series as they come: series.py ENDPOINT NAME BASE [TAIL.csv] <POINTS.csv

Points are lines of "2026-01-30T22:00:00.000000Z,1.0735"; other lines (a header) are passed over. A
series that is in the store already goes on from its last rows:

    leat tail EURUSD >tail.csv
    python3 series.py tcp://127.0.0.1:5550 EURUSD 1.07356 tail.csv <points.csv

Without that file the series begins with the first point. Either way, what is found in it is what
would have been found had it been sent at once. The client is the one of example.py.
"""

import collections
import datetime
import struct
import sys

import msgpack

from example import Client, Refused

BQX_ROWS = 15  # rows that bqx looks back on, besides those of the longest window
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MICROSECOND = datetime.timedelta(microseconds=1)


class Series:
    """The last rows of a live series, and the blocks that are made with them."""

    def __init__(self, client, name, base, rows=()):
        self.client, self.name, self.base = client, name, base
        self.needed = client.limits["series_longest"] - 1 + BQX_ROWS
        # `leat tail` prints more rows than any windows look back on, unless there are no others: then
        # the series begins with them.
        self.start = len(rows) < self.needed
        self.rows = collections.deque(rows, self.needed)

    def add(self, ts, close):
        """One point: microseconds since 1970, and the close."""
        rows = [*self.rows, (ts, close)]
        block = {
            "series": self.name,
            "ts": struct.pack(f"<{len(rows)}q", *(ts for ts, _ in rows)),
            "close": struct.pack(f"<{len(rows)}d", *(close for _, close in rows)),
            "base": self.base,
            "warmup": len(self.rows),
            "start": self.start,
        }
        self.client.send("series", [msgpack.packb(block)], [ts])
        self.start = self.start and len(self.rows) < self.needed
        self.rows.append((ts, close))


def read_points(lines):
    for line in lines:
        ts, _, close = line.strip().partition(",")
        try:
            at = datetime.datetime.strptime(ts, "%Y-%m-%dT%H:%M:%S.%fZ")
            yield (at.replace(tzinfo=datetime.timezone.utc) - EPOCH) // MICROSECOND, float(close)
        except ValueError:
            continue


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: series.py ENDPOINT NAME BASE [TAIL.csv] <POINTS.csv")
    endpoint, name, base = sys.argv[1:4]
    client = Client(endpoint, on_reject=lambda ts, code, reason: print(f"{code}: {reason}", file=sys.stderr))
    if not client.wait(lambda: client.session, 10):
        sys.exit(f"{endpoint}: no welcome within 10 seconds")
    tail = []
    if len(sys.argv) == 5:
        with open(sys.argv[4]) as file:
            tail = list(read_points(file))
    series = Series(client, name, float(base), tail)
    for ts, close in read_points(sys.stdin):
        series.add(ts, close)
    done = client.wait(client.all_committed, 60)
    print(f"accepted {client.accepted} rejected {client.rejected} committed {client.committed} dead {client.dead}")
    sys.exit(0 if done else 1)


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        sys.exit(str(refused))
