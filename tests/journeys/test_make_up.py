"""`make up` itself: it survives what happens to its processes, and leaves none."""

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from cdp.embedded.layout import REPOSITORY
from cdp.embedded.processes import is_alive
from tests.journeys.conftest import Product, start_product


@pytest.fixture(scope="module")
def own_product() -> Generator[Product, None, None]:
    """Run an installation that tests may maltreat, if they leave it running."""
    data_dir = Path(tempfile.mkdtemp(prefix="cdp-journey-")).resolve()
    product = start_product(data_dir)
    yield product
    product.stop()
    subprocess.run([sys.executable, "-m", "cdp.embedded", "stop"], cwd=REPOSITORY, env=product.env, check=True)
    shutil.rmtree(data_dir)


def up(product: Product, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cdp.embedded", "up"]
    env = product.env | settings
    return subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_says_where_it_already_runs(product: Product) -> None:
    second = up(product)
    assert second.returncode == 0
    assert f"Already running at {product.base_url}" in second.stdout


def test_names_a_free_port_when_its_own_is_taken(product: Product, tmp_path: Path) -> None:
    second = up(product, CDP_DATA_DIR=str(tmp_path / "second"))
    assert second.returncode == 1
    port = int(product.env["CDP_PORT"])
    assert f"Port 127.0.0.1:{port} is taken" in second.stderr
    assert f"CDP_PORT={port + 1} make up" in second.stderr


def test_lets_commands_use_its_servers(product: Product) -> None:
    with closing(psycopg2.connect(product.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_migrations")
        assert cursor.fetchone()[0] > 0
    assert product.is_healthy()


# That each of its processes comes back, with nothing lost: tests/journeys/test_faults.py.
def test_says_which_process_it_starts_again(product: Product) -> None:
    killed = product.kill("beat")
    product.wait_until(lambda: product.children().get("beat", killed) != killed)
    assert "beat ended by SIGKILL; starting it again" in product.output


def test_leaves_no_process_after_ctrl_c_and_starts_again_with_its_data(own_product: Product) -> None:
    running = own_product.children()
    first = own_product.manage("create_source", "shop", "--kind", "server")
    assert own_product.stop(signal.SIGINT) == 0
    assert [name for name, pid in running.items() if is_alive(pid)] == []
    # Without `make up`, a command starts the servers for itself and stops them again.
    assert own_product.manage("create_source", "shop", "--kind", "server") == first
    assert not (own_product.data_dir / "postgres" / "postmaster.pid").exists()
    own_product.start()
    # The password of the first administrator is for the first start only.
    assert own_product.output.count("Ready after") == 2
    assert own_product.output.count("Sign in as ada@example.org") == 1


def test_leaves_nothing_in_the_way_when_it_is_killed_itself(own_product: Product) -> None:
    running = own_product.children()
    own_product.process.kill()
    own_product.process.wait()
    own_product.start()
    assert [name for name, pid in running.items() if is_alive(pid)] == []
    assert own_product.stop(signal.SIGTERM) == 0
    own_product.start()
