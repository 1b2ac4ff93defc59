"""The running product, as `make up` starts it: web, workers, beat and its own servers."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Browser

from cdp.embedded.address import Address, is_healthy
from cdp.embedded.layout import REPOSITORY, Layout
from cdp.embedded.postgres import database_url
from tests.journeys.sdks import begin_to_install

_READY = "Ready after"
_READY_SECONDS = 180
_STOP_SECONDS = 90


@dataclass(slots=True)
class Product:
    """One running installation."""

    base_url: str
    data_dir: Path
    env: dict[str, str]
    output_file: Path
    process: subprocess.Popen[bytes] = field(init=False)
    # By their scopes. A command of `manage.py` takes seconds, most of them to begin.
    keys: dict[str, str] = field(default_factory=dict)
    browser: Browser | None = None
    before_stop: ExitStack = field(default_factory=ExitStack)

    @property
    def output(self) -> str:
        """Everything that `make up` has written so far."""
        return self.output_file.read_text(errors="replace")

    @property
    def dsn(self) -> str:
        """The address of the database."""
        # As `manage.py database_url` says it, without its seconds to begin.
        return database_url(Layout(root=self.data_dir))

    def broker(self) -> redis.Redis:
        """Open a connection to the broker."""
        return redis.Redis(unix_socket_path=str(Layout(root=self.data_dir).valkey_socket))

    def manage(self, *arguments: str, check: bool = True) -> str:
        """Run a command of `manage.py`; answers its standard output without the last newline."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=REPOSITORY,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"manage.py {arguments}: {done.stdout}{done.stderr}"
        return done.stdout.rstrip("\n")

    def children(self) -> dict[str, int]:
        """Read the process ids by name: web, beat, ingest, worker; postgres and guard of the servers."""
        found: dict[str, int] = json.loads((self.data_dir / "run" / "children.json").read_text())
        servers = self.data_dir / "postgres" / "postmaster.pid"
        return found | {
            "postgres": int(servers.read_text().split()[0]),
            "guard": int((self.data_dir / "run" / "guard.lock").read_text()),
        }

    def kill(self, name: str) -> int:
        """Kill one of the processes with -9; answers its id."""
        pid = self.children()[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def is_healthy(self) -> bool:
        """Tell whether the web process answers."""
        port = int(self.env["CDP_PORT"])
        return is_healthy(Address(host="127.0.0.1", port=port, url=self.base_url))

    def wait_until(self, condition: Callable[[], bool], *, seconds: float = _READY_SECONDS) -> None:
        """Wait for something while the product runs; what it said is in the failure."""
        until = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"`make up` ended:\n{self.output}"
            assert time.monotonic() < until, f"still not so after {seconds} s:\n{self.output[-6000:]}"
            time.sleep(0.1)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop it as Ctrl-C does; answers the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(_STOP_SECONDS)

    def start(self) -> None:
        """Start it, at the same address and with the same data if it has run before; wait until it answers."""
        starts = self.output.count(_READY) if self.output_file.exists() else 0
        with self.output_file.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cdp.embedded", "up"],
                cwd=REPOSITORY,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        try:
            self.wait_until(lambda: self.output.count(_READY) > starts)
        except AssertionError:
            self.stop(signal.SIGTERM)
            raise


def start_product(data_dir: Path, *, port: int | None = None, output: Path | None = None, **settings: str) -> Product:
    """Start an installation and wait until it answers; the caller stops it."""
    port = port or free_port()
    output = output or data_dir / "output.txt"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CDP_")}
    env = inherited | {
        "CDP_DATA_DIR": str(data_dir),
        "CDP_PORT": str(port),
        "CDP_DEMO": "0",
        "CDP_ENV": "development",
        "CDP_ADMIN_EMAIL": "ada@example.org",
        "CDP_ADMIN_PASSWORD": "correct-horse-battery-staple",
        **settings,
    }
    product = Product(base_url=f"http://127.0.0.1:{port}", data_dir=data_dir, env=env, output_file=output)
    product.start()
    return product


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="package")
def product(request: pytest.FixtureRequest) -> Generator[Product, None, None]:
    """Run one installation for all journeys; they share it, so each uses names of its own.

    It ends with the last of them: what else the same process tests goes faster without it.
    """
    if any(_drives_sdks(item) for item in request.session.items):
        begin_to_install()
    data_dir = Path(tempfile.mkdtemp(prefix="cdp-journey-")).resolve()
    # Other servers of the tests are on this machine.
    product = start_product(data_dir, CDP_OUTGOING_ALLOW="127.0.0.1:*")
    yield product
    product.before_stop.close()
    status = product.stop()
    output = product.output
    shutil.rmtree(data_dir, ignore_errors=True)
    assert status == 0, output


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the journeys, and drive the SDKs as the last of them: they are installed meanwhile."""
    places = [place for place, item in enumerate(items) if Path(__file__).parent in item.path.parents]
    for place, item in zip(places, sorted((items[place] for place in places), key=_drives_sdks), strict=True):
        item.add_marker(pytest.mark.journey)
        items[place] = item


def _drives_sdks(item: pytest.Item) -> bool:
    return item.path.name.endswith("_sdks.py")
