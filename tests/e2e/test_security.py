"""Keys keep out who has none, and let in, without a restart, who is let in. Without keys nothing
but this machine is reached."""

import contextlib
import os
import shutil
import socket
import subprocess
import time

import msgpack
import pytest
import zmq
import zmq.auth

import harness
from harness import PATIENCE, leat, send, texts_file, until


@pytest.fixture
def keys(folder):
    leat("keys", "--dir", folder / "keys", check=True)
    return folder / "keys"


def with_keys(keys):
    return ("--set", f"security.keys={keys}")


def check_refused(reason, endpoint, path, *options):
    """`leat send` complains of this, and does not take long over it. It tells what it knows when its
    time is over; a machine that is busy gets more."""
    for seconds in (1 * PATIENCE, 5 * PATIENCE, 20 * PATIENCE):
        begun = time.monotonic()
        done = leat("send", "--to", endpoint, "--timeout", seconds, *options, path)
        assert done.returncode == 1, done.stdout
        if reason in done.stderr and time.monotonic() - begun < seconds + 4 * PATIENCE:
            return
    raise AssertionError(f"not in time: {reason}\n{done.stderr}")


def test_keys_are_made_once_and_only_for_their_owner(folder, keys):
    again = leat("keys", "--dir", keys)
    assert again.returncode == 1 and "--force" in again.stderr
    before = (keys / "server.key").read_bytes()
    assert leat("keys", "--dir", keys, "--keep").returncode == 0
    assert (keys / "server.key").read_bytes() == before
    leat("keys", "client", "hub", "--dir", keys, check=True)
    assert leat("keys", "client", "hub", "--dir", keys).returncode == 1
    assert leat("keys", "client", "../hub", "--dir", keys).returncode == 2
    assert leat("keys", "client", "x", "--dir", folder / "none").returncode == 1
    secret = list(keys.rglob("*.key"))
    assert len(secret) == 4
    for path in secret:
        assert path.stat().st_mode & 0o777 == 0o600
    for path in keys.rglob("*.pub"):
        assert "secret" not in path.read_text()
    leat("keys", "--dir", keys, "--force", check=True)
    assert (keys / "server.key").read_bytes() != before


def secrets_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_clients_key_is_not_lost_to_another_client(folder, keys):
    out = folder / "handed-out"
    leat("keys", "client", "one", "--dir", keys, "--out", out, check=True)
    before = secrets_of(folder)
    for more in ([], ["--keep"]):
        done = leat("keys", "client", "two", "--dir", keys, "--out", out, *more)
        assert done.returncode == 1 and str(out / "client.key") in done.stderr and "--force" in done.stderr
    assert secrets_of(folder) == before
    leat("keys", "client", "one", "--dir", keys, "--out", out, "--keep", check=True)
    assert secrets_of(folder) == before
    leat("keys", "client", "two", "--dir", keys, "--out", out, "--force", check=True)
    assert (out / "client.key").read_bytes() != before[out / "client.key"]
    assert (keys / "clients" / "two.pub").exists()


def test_the_deployments_own_keys_are_not_handed_out_over(folder, keys):
    before = secrets_of(folder)
    (folder / "link").symlink_to(keys)
    for out in (keys, folder / "link", keys / "clients", keys / "services"):
        for more in ([], ["--force"]):
            done = leat("keys", "client", "two", "--dir", keys, "--out", out, *more)
            assert done.returncode == 1 and "another folder" in done.stderr
    assert secrets_of(folder) == before


def test_separate_processes_work_with_keys_and_keep_others_out(make_cluster, folder, keys):
    cluster = make_cluster(classify=2, settings={"security.keys": keys})
    path = texts_file(folder / "texts.ndjson", range(500))
    told = send(cluster.endpoint, path, options=("--keys", keys))
    assert told["committed"] == 500
    assert cluster.query("SELECT count(*) FROM texts") == [(500,)]
    hello = [line for line in cluster["ingest"].log().splitlines() if "event=client_hello" in line]
    assert hello and "name=client" in hello[0]


def test_each_port_lets_in_only_those_that_it_is_for(make_cluster, folder, keys):
    cluster = make_cluster(settings={"security.keys": keys})
    leat("keys", "--dir", folder / "others", check=True)
    server, _ = zmq.auth.load_certificate(keys / "server.pub")
    stranger, client, service = (zmq.auth.load_certificate(path) for path in (
        folder / "others" / "service.key", keys / "client.key", keys / "service.key"))
    context = zmq.Context()
    for address, kind in cluster.endpoints():
        # A client's key opens the front door and nothing behind it, a service's all but that.
        front = address in (cluster.endpoint, cluster.oneway)
        let_in = [connects(context, kind, address, server, pair)
                  for pair in (None, stranger, client, service)]
        assert let_in == [False, False, front, not front], address
    context.destroy(0)


def test_results_reach_the_cache_with_keys(make_cluster, folder, keys):
    cluster = make_cluster(settings={"security.keys": keys})
    path = texts_file(folder / "texts.ndjson", range(50))

    def known():
        # What came before classify had found the cache is computed again.
        assert send(cluster.endpoint, path, options=("--keys", keys))["committed"] == 50
        return cluster["cache"].metric("leat_cache_lookups_total", outcome="hit") > 0

    until("the texts are known", known)


def test_a_service_key_that_is_put_in_counts_and_one_taken_out_does_not(make_cluster, folder, keys):
    cluster = make_cluster(settings={"security.keys": keys})
    leat("keys", "--dir", folder / "others", check=True)
    server, _ = zmq.auth.load_certificate(keys / "server.pub")
    pair = zmq.auth.load_certificate(folder / "others" / "service.key")
    behind = cluster.endpoints()[2:]
    context = zmq.Context()

    def let_in():
        return [connects(context, kind, address, server, pair) for address, kind in behind]

    assert not any(let_in())
    shutil.copy(folder / "others" / "service.pub", keys / "services" / "other.pub")
    assert all(let_in())
    (keys / "services" / "other.pub").unlink()
    assert not any(let_in())
    context.destroy(0)


def connects(context, kind, address, server, pair):
    link = context.socket(kind)
    if pair:
        link.curve_publickey, link.curve_secretkey = pair
        link.curve_serverkey = server
    monitor = link.get_monitor_socket(
        zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH
        | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
    link.connect(address)
    try:
        assert monitor.poll(10000 * PATIENCE), "neither in nor out"
        number = monitor.recv_multipart()[0][:2]
        return int.from_bytes(number, "little") == zmq.EVENT_HANDSHAKE_SUCCEEDED
    finally:
        link.disable_monitor()
        link.close(0)


def test_who_has_the_wrong_keys_is_told_so_in_time(make_embedded, folder, keys):
    embedded = make_embedded(*with_keys(keys))
    path = texts_file(folder / "texts.ndjson", range(3))
    assert send(embedded.endpoint, path, options=("--keys", keys))["committed"] == 3

    check_refused("it talks with keys only", embedded.endpoint, path)

    leat("keys", "--dir", folder / "others", check=True)
    check_refused("another key than the server's", embedded.endpoint, path, "--keys", folder / "others")

    shutil.copy(keys / "server.pub", folder / "others")
    check_refused("not among those that may connect", embedded.endpoint, path, "--keys", folder / "others")

    (folder / "others" / "client.key").chmod(0o644)
    check_refused("chmod 600", embedded.endpoint, path, "--keys", folder / "others")
    assert embedded.query("SELECT count(*) FROM texts") == [(3,)]


def test_the_examples_use_keys(make_embedded, folder, keys, monkeypatch):
    embedded = make_embedded(*with_keys(keys))
    path = texts_file(folder / "texts.ndjson", range(3))
    monkeypatch.setenv("LEAT_SECURITY_KEYS", str(keys))
    for program in ([harness.EXAMPLES / "example"],
                    ["/usr/bin/python3", harness.ROOT / "proto" / "examples" / "example.py"]):
        done = subprocess.run([*program, embedded.endpoint, path], stdout=subprocess.PIPE, text=True,
                              timeout=60 * PATIENCE)
        assert done.stdout == "accepted 3 rejected 0 committed 3 dead 0\n"


def test_keys_without_services_that_have_some_are_told(embedded, folder, keys):
    path = texts_file(folder / "texts.ndjson", range(3))
    check_refused("talks without", embedded.endpoint, path, "--keys", keys)


def test_a_key_that_is_put_in_counts_and_one_taken_out_does_not(make_embedded, folder, keys):
    embedded = make_embedded(*with_keys(keys))
    path = texts_file(folder / "texts.ndjson", range(3))
    out = folder / "hub"
    leat("keys", "client", "hub", "--dir", keys, "--out", out, check=True)
    assert send(embedded.endpoint, path, options=("--keys", out))["committed"] == 3
    leat("keys", "remove", "hub", "--dir", keys, check=True)
    assert leat("keys", "remove", "hub", "--dir", keys).returncode == 1
    check_refused("not among those", embedded.endpoint, path, "--keys", out)
    # What is no key in the folder harms nobody.
    (keys / "clients" / "note").write_bytes(bytes(range(256)) * 100)
    assert send(embedded.endpoint, path, options=("--keys", keys))["committed"] == 3


def test_a_connection_that_stands_is_not_cut_when_its_key_is_taken_out(make_embedded, folder, keys):
    embedded = make_embedded(*with_keys(keys))
    out = folder / "hub"
    leat("keys", "client", "hub", "--dir", keys, "--out", out, check=True)
    client = harness.example.Client(embedded.endpoint, keys=str(out))

    def sends(id):
        client.send("text", [msgpack.packb({"id": id, "text": "what a good day"})], [0])
        assert client.wait(client.all_committed, 30 * PATIENCE)

    sends("before")
    leat("keys", "remove", "hub", "--dir", keys, check=True)
    path = texts_file(folder / "texts.ndjson", range(3))
    check_refused("not among those", embedded.endpoint, path, "--keys", out)
    sends("after")  # a connection that was cut would not come in again
    client.socket.close(0)
    assert embedded.query("SELECT id FROM texts ORDER BY id") == [("after",), ("before",)]


def test_a_client_that_waits_is_in_as_soon_as_its_key_is(make_embedded, folder, keys):
    embedded = make_embedded(*with_keys(keys))
    out = folder / "hub"
    leat("keys", "client", "hub", "--dir", keys, "--out", out, check=True)
    card = keys / "clients" / "hub.pub"
    text = card.read_text()
    card.unlink()
    sender = harness.send_in_background(
        embedded.endpoint, texts_file(folder / "t.ndjson", range(3)), options=("--keys", out))
    # libzmq gives up for good after a refusal; the client must not.
    until("the key was refused", lambda: "its key is not in the folder" in embedded.program.log())
    assert embedded.program.metric("leat_ingest_connections_refused_total") > 0
    card.write_text(text)
    assert harness.finish(sender)["committed"] == 3


def test_one_way_records_need_a_key_too(make_embedded, folder, keys):
    embedded = make_embedded(*with_keys(keys))
    frame = msgpack.packb({"v": 1, "kind": "text",
                           "records": [{"id": "one", "text": "what a good day"}]})
    server, _ = zmq.auth.load_certificate(keys / "server.pub")
    context = zmq.Context()
    assert not connects(context, zmq.PUSH, embedded.oneway, server, None)
    link = context.socket(zmq.PUSH)
    link.curve_publickey, link.curve_secretkey = zmq.auth.load_certificate(keys / "client.key")
    link.curve_serverkey = server
    link.connect(embedded.oneway)
    link.send(frame)
    until("it is stored", lambda: embedded.query("SELECT count(*) FROM texts") == [(1,)])
    context.destroy(0)


def test_random_bytes_at_an_encrypted_door_harm_nobody(make_embedded, folder, keys):
    embedded = make_embedded(*with_keys(keys))
    host, port = embedded.endpoint.removeprefix("tcp://").split(":")
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE".ljust(53, b"\0") + b"\0" * 31
    for bytes_ in (b"", b"GET / HTTP/1.1\r\n\r\n", greeting, greeting + b"\x04\xc8\x05HELLO" + b"x" * 194,
                   greeting + b"\x04\xff\x05HELLO", greeting[:64] + b"\x06" + b"\xff" * 8):
        with socket.create_connection((host, int(port)), 5) as link:
            link.sendall(bytes_)
    path = texts_file(folder / "texts.ndjson", range(3))
    assert send(embedded.endpoint, path, options=("--keys", keys))["committed"] == 3


def test_nothing_but_this_machine_is_reached_without_keys(folder, make_embedded):
    for words in (("--listen", "tcp://*:15550"), ("--oneway", "tcp://0.0.0.0:15551")):
        done = leat("run", "--data", folder / "d", "--set", "run.http=", *words)
        assert done.returncode == 1
        assert "security.insecure" in done.stderr and "leat keys" in done.stderr
    port = harness.free_port()
    make_embedded("--set", "security.insecure=yes", "--set", f"ingest.listen=tcp://*:{port}",
                  "--set", "ingest.oneway=")


# Who connects, and by which setting: to the next stage, to the cache with results, to who acknowledges.
CONNECTIONS = [("ingest", "cache.address"), ("ingest", "regress.address"),
               ("ingest", "persist.acks_address"), ("cache", "classify.address"),
               ("classify", "persist.address"), ("classify", "cache.results_address"),
               ("regress", "persist.address")]


@pytest.mark.parametrize("stage, setting", CONNECTIONS)
def test_nobody_connects_to_another_machine_without_keys(folder, stage, setting):
    here = f"tcp://127.0.0.1:{harness.free_port()}"
    bound = {"ingest": ("ingest.listen", "ingest.oneway"), "cache": ("cache.inbox", "cache.results")}
    own = {name: f"tcp://127.0.0.1:{harness.free_port()}"
           for name in bound.get(stage, (f"{stage}.inbox",))}
    own |= {f"{stage}.http": "", "journal.dir": folder / "journal"}
    there = "tcp://192.0.2.1:5560"  # of no machine (RFC 5737)
    words = [word for name, value in {**own, setting: f"{here},{there}"}.items()
             for word in ("--set", f"{name}={value}")]
    done = subprocess.run([harness.BIN / f"leat-{stage}", *words], cwd=folder, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60 * PATIENCE)
    assert done.returncode == 1, done.stdout
    for word in (there, setting, "security.keys", "security.insecure", "leat keys"):
        assert word in done.stdout


def test_keys_that_are_missing_are_told_at_start(folder):
    done = leat("run", "--data", folder / "d", "--set", f"security.keys={folder}/none")
    assert done.returncode == 1 and "security.keys" in done.stderr and "server.key" in done.stderr


def certificate(folder, name):
    """A self-signed one for 127.0.0.1, and its key that only PostgreSQL's user may read."""
    paths = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "1", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
         "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    paths[1].chmod(0o600)
    if os.getuid() == 0:
        shutil.chown(paths[1], "postgres")
    return paths


@pytest.fixture
def encrypted_postgres(folder):
    own, key = certificate(folder, "own")
    port = harness.free_port()
    with contextlib.closing(harness.Postgres(
            folder / "pg", "ssl=on", f"ssl_cert_file={own}", f"ssl_key_file={key}",
            "listen_addresses=127.0.0.1", f"port={port}")) as server:
        server.url = f"host=127.0.0.1 port={port} user=leat dbname=leat sslmode=verify-full"
        yield server


def test_postgresql_is_reached_over_tls_and_has_to_prove_itself(folder, encrypted_postgres, redis):
    other, _ = certificate(folder, "other")
    with contextlib.closing(harness.Cluster(
            folder, encrypted_postgres, redis,
            settings={"store.url": f"{encrypted_postgres.url} sslrootcert={folder / 'own.crt'}"})) as cluster:
        path = texts_file(folder / "texts.ndjson", range(100))
        assert send(cluster.endpoint, path)["committed"] == 100
        assert encrypted_postgres.query(
            "SELECT bool_and(ssl), count(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
            " WHERE client_addr IS NOT NULL") == [(True, True)]
        cluster["persist"].stop()
        cluster.settings["store.url"] = f"{encrypted_postgres.url} sslrootcert={other}"
        cluster.start("persist")
        until("persist tells why it does not connect",
              lambda: "certificate" in cluster["persist"].log())
        assert harness.http(cluster["persist"].http_address, "/readyz")[0] == 503
