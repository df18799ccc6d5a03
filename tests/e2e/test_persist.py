"""Persist among others: several of them on one PostgreSQL, and keys that somebody holds."""

import contextlib

import psycopg2

import harness
from harness import until


def test_a_key_that_somebody_holds_holds_only_its_batch_up(make_cluster, folder):
    cluster = make_cluster(settings={"persist.lock_timeout": "500ms"})
    harness.send(cluster.endpoint, harness.texts_file(folder / "first.ndjson", [0]))
    path = harness.texts_file(folder / "t.ndjson", range(5000))
    with contextlib.closing(psycopg2.connect(cluster.postgres.conninfo)) as holder:
        holder.cursor().execute("UPDATE texts SET lang = 'xx' WHERE id = 't0'")
        sender = harness.send_in_background(cluster.endpoint, path)
        until("the rest is committed while the key is held",
              lambda: harness.counter(cluster["persist"], "leat_persist_set_aside_total") > 0 and
              harness.texts(cluster) > 1)
        assert sender.poll() is None
        holder.rollback()
        assert harness.finish(sender)["committed"] == 5000
    assert harness.count(cluster) == (5000, 5000)


def test_one_connection_is_enough(make_cluster, postgres, folder):
    """A role, or a full server, that has no second one to give: the session that is there goes on."""
    (owner,), = postgres.query("SELECT current_user")
    postgres.query(f"CREATE ROLE narrow LOGIN CONNECTION LIMIT 1; GRANT {owner} TO narrow")
    try:
        cluster = make_cluster(settings={"store.url": postgres.conninfo + " user=narrow",
                                         "persist.rows": 100, "persist.lock_timeout": "60s"})
        harness.send(cluster.endpoint, harness.texts_file(folder / "first.ndjson", [0]))
        path = harness.texts_file(folder / "t.ndjson", range(harness.LOAD))
        with contextlib.closing(psycopg2.connect(postgres.conninfo)) as holder:
            # The first session works for as long as this key is held: what comes wants a second.
            holder.cursor().execute("UPDATE texts SET lang = 'xx' WHERE id = 't0'")
            sender = harness.send_in_background(cluster.endpoint, path)
            until("a second session was wanted", lambda: "53300" in cluster["persist"].log())
            holder.rollback()
            assert harness.finish(sender)["committed"] == harness.LOAD
        cluster.close()
        assert harness.count(cluster) == (harness.LOAD, harness.LOAD)
    finally:
        postgres.query("DROP OWNED BY narrow CASCADE; DROP ROLE narrow")
