"""Persist among others: several of them on one PostgreSQL, and keys that somebody holds."""

import contextlib
import re
import signal
import threading

import psycopg2

import harness
from harness import until

LOAD = 60000 // harness.PATIENCE

EXACT = "SELECT count(*), count(DISTINCT id) FROM texts"


@contextlib.contextmanager
def sending(endpoint, path):
    """`leat send --wait committed` in the background; its answer is in the list that this gives."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(harness.send(endpoint, path)))
    thread.start()
    try:
        yield answers
    finally:
        thread.join()


@contextlib.contextmanager
def load_until_left(endpoint, folder):
    """Sends LOAD texts after LOAD texts, for as long as the block lasts; then the number of texts
    that were committed is in the list that this gives."""
    total, left = [], threading.Event()

    def feed():
        n = 0
        while not left.is_set():
            path = harness.texts_file(folder / "load.ndjson", range(n, n + LOAD))
            n += harness.send(endpoint, path)["committed"]
        total.append(n)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield total
    finally:
        left.set()
        thread.join()


def holding_for(cluster, program):
    """Seconds since a transaction of this persist began that has written rows and is not committed;
    None when there is none."""
    sessions = [int(pid) for pid in re.findall(r"server_pid=(\d+)", program.log())]
    return cluster.query("SELECT extract(epoch FROM max(clock_timestamp() - xact_start))::float"
                         " FROM pg_stat_activity WHERE pid = ANY (%s) AND backend_xid IS NOT NULL",
                         sessions)[0][0]


def stop_in_a_transaction(cluster, program):
    """SIGSTOP at a moment when a session is in the middle of a COPY, so that it stays there: what
    the server has whole it commits, even for a client that is stopped."""
    def caught():
        until("rows are being written", lambda: holding_for(cluster, program) is not None)
        program.process.send_signal(signal.SIGSTOP)
        until("it is through, or stays", lambda: (holding_for(cluster, program) or 9) > 0.5)
        if holding_for(cluster, program) is not None:
            return True
        program.process.send_signal(signal.SIGCONT)
        return False

    until("persist is stopped in a transaction", caught)


def test_a_stopped_persist_holds_nobody_up(make_cluster, folder):
    cluster = make_cluster(persist=2, settings={"persist.blocker_age": "2s"})
    with load_until_left(cluster.endpoint, folder) as total:
        stop_in_a_transaction(cluster, cluster["persist", 0])
    n = total[0]
    assert n % LOAD == 0 and cluster.query(EXACT) == [(n, n)]
    assert cluster["persist", 1].metric("leat_persist_blockers_ended_total") >= 1
    # It goes on where it was: what it still has is old by now, and changes nothing.
    versions = cluster.query("SELECT sum(version) FROM texts")
    cluster["persist", 0].process.send_signal(signal.SIGCONT)
    more = harness.texts_file(folder / "more.ndjson", range(n, n + 1000))
    assert harness.send(cluster.endpoint, more)["committed"] == 1000
    until("the stopped one is ready again", lambda: harness.http(
        cluster["persist", 0].http_address, "/readyz")[0] == 200)
    assert cluster.query(EXACT) == [(n + 1000, n + 1000)]
    assert cluster.query("SELECT sum(version) FROM texts WHERE substring(id from 2)::int < %s",
                         n) == versions
    assert cluster.query("SELECT count(*) FROM dead_letters") == [(0,)]


def test_a_key_that_somebody_holds_holds_only_its_batch_up(make_cluster, folder):
    cluster = make_cluster(settings={"persist.lock_timeout": "500ms"})
    harness.send(cluster.endpoint, harness.texts_file(folder / "first.ndjson", [0]))
    path = harness.texts_file(folder / "t.ndjson", range(5000))
    with contextlib.closing(psycopg2.connect(cluster.postgres.conninfo)) as holder:
        holder.cursor().execute("UPDATE texts SET lang = 'xx' WHERE id = 't0'")
        with sending(cluster.endpoint, path) as answers:
            until("the rest is committed while the key is held",
                  lambda: cluster["persist"].metric("leat_persist_set_aside_total") > 0 and
                  cluster.query(EXACT)[0][0] > 1)
            assert not answers
            holder.rollback()
    assert answers[0]["committed"] == 5000
    assert cluster.query(EXACT) == [(5000, 5000)]


def test_one_connection_is_enough(make_cluster, postgres, folder):
    """A role, or a full server, that has no second one to give: the session that is there goes on."""
    (owner,), = postgres.query("SELECT current_user")
    postgres.query(f"CREATE ROLE narrow LOGIN CONNECTION LIMIT 1; GRANT {owner} TO narrow")
    try:
        cluster = make_cluster(settings={"store.url": postgres.conninfo + " user=narrow",
                                         "persist.rows": 100, "persist.lock_timeout": "60s"})
        harness.send(cluster.endpoint, harness.texts_file(folder / "first.ndjson", [0]))
        path = harness.texts_file(folder / "t.ndjson", range(LOAD))
        with contextlib.closing(psycopg2.connect(postgres.conninfo)) as holder:
            # The first session works for as long as this key is held: what comes wants a second.
            holder.cursor().execute("UPDATE texts SET lang = 'xx' WHERE id = 't0'")
            with sending(cluster.endpoint, path) as answers:
                until("a second session was wanted", lambda: "53300" in cluster["persist"].log())
                holder.rollback()
        assert answers[0]["committed"] == LOAD
        cluster.close()
        assert cluster.query(EXACT) == [(LOAD, LOAD)]
    finally:
        postgres.query("DROP OWNED BY narrow CASCADE; DROP ROLE narrow")
