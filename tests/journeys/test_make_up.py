"""`make up` itself: it survives what happens to its processes, and leaves none."""

import signal
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path

import psycopg2

from cdp.embedded.layout import REPOSITORY
from cdp.embedded.processes import is_alive
from tests.journeys.calling import post
from tests.journeys.conftest import Product


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


def test_leaves_nothing_in_the_way_when_it_is_killed_itself(product: Product) -> None:
    running = product.children()
    product.process.kill()
    product.process.wait()
    product.start()
    assert [name for name, pid in running.items() if is_alive(pid)] == []


def test_leaves_no_process_after_ctrl_c_and_starts_again_with_its_data(product: Product) -> None:
    running = product.children()
    source = f"source-{uuid.uuid4().hex[:10]}"
    write_key = product.manage("create_source", source, "--kind", "server")
    assert product.stop(signal.SIGINT) == 0
    assert [name for name, pid in running.items() if is_alive(pid)] == []
    # Without `make up`, a command starts the servers for itself and stops them again.
    assert product.manage("create_source", source, "--kind", "server") == write_key
    assert not (product.data_dir / "postgres" / "postmaster.pid").exists()
    product.start()
    post(product, "/v1/track", {"userId": source, "event": "Came back"}, key=write_key)
    # The password of the first administrator is for the first start only.
    assert product.output.count("Sign in as ada@example.org") == 1
