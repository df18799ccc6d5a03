"""Fixtures of the end-to-end tests; harness.py has the parts."""

import contextlib

import pytest

import harness
import wire


@pytest.fixture
def folder():
    with harness.folder() as path:
        yield path


@pytest.fixture(scope="session")
def postgres_server():
    """One PostgreSQL for all tests that do not hurt it."""
    with harness.folder() as path, contextlib.closing(harness.Postgres(path / "pg")) as server:
        yield server


@pytest.fixture
def postgres(postgres_server):
    """The shared PostgreSQL with an empty database."""
    # Whoever was left over by another test and holds a table would else hold up all the rest.
    postgres_server.query("SET lock_timeout = '30s'; DROP SCHEMA public CASCADE")
    postgres_server.query("CREATE SCHEMA public")
    return postgres_server


@pytest.fixture
def own_postgres(folder):
    """A PostgreSQL that a test may crash."""
    with contextlib.closing(harness.Postgres(folder / "pg")) as server:
        yield server


@pytest.fixture
def standby(folder, own_postgres):
    """A hot standby of own_postgres."""
    with contextlib.closing(harness.Standby(folder / "standby", own_postgres)) as server:
        yield server


@pytest.fixture
def redis(folder):
    with contextlib.closing(harness.Redis(folder)) as server:
        yield server


@pytest.fixture
def embedded(folder):
    """`leat run` with its own data folder."""
    with contextlib.closing(harness.Embedded(folder)) as running:
        yield running


@pytest.fixture
def make_embedded(folder):
    """Starts `leat run` with further arguments."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **more: stack.enter_context(
            contextlib.closing(harness.Embedded(folder, *arguments, **more)))


@pytest.fixture
def make_cluster(folder, postgres, redis):
    """Starts separate processes: make_cluster(classify=2, settings={...})."""
    with contextlib.ExitStack() as stack:
        yield lambda **more: stack.enter_context(
            contextlib.closing(harness.Cluster(folder, postgres, redis, **more)))


@pytest.fixture
def cluster(make_cluster):
    return make_cluster()


@pytest.fixture
def wires():
    """Connections that can be cut, held up or slowed down."""
    with contextlib.closing(wire.Wires()) as made:
        yield made
