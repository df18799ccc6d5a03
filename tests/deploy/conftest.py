import contextlib
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import deployment  # noqa: E402


@pytest.fixture(scope="module")
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="leat-deploy-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def engine():
    """A Docker engine with all images, or a test that is skipped."""
    reason = deployment.no_engine()
    if reason:
        pytest.skip(reason)
    return deployment.images()


@pytest.fixture(scope="module")
def compose(engine):
    if not deployment.compose_command():
        pytest.skip("neither docker compose nor docker-compose is installed")


@pytest.fixture(scope="module")
def deployed(compose, folder):
    """The deployment, running."""
    with contextlib.closing(deployment.Deployment(folder)) as running:
        running.up()
        running.wait_healthy("ingest", "cache", "classify", "regress", "persist")
        yield running
