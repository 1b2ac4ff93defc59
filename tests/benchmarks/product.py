"""The product under measurement: one of its own in a temporary directory, or one that runs already."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import psycopg2

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 240
# Known to the benchmarks, so that rows which they write themselves are found by their digests.
SUPPRESSION_KEY = "only-for-benchmarks-" * 3


class BenchmarkFailed(RuntimeError):
    """The product did not do what the benchmark asked of it."""


@dataclass(slots=True)
class Product:
    """A running product. `env` is the environment that its commands need."""

    base_url: str
    env: dict[str, str]
    _key: str = ""
    _dsn: str = ""

    def manage(self, *arguments: str) -> str:
        """Run a `manage.py` command and return what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=REPOSITORY,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BenchmarkFailed(
                f"manage.py {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}"
            )
        return done.stdout.strip()

    @property
    def dsn(self) -> str:
        """The database's address."""
        self._dsn = self._dsn or self.manage("database_url")
        return self._dsn

    @property
    def key(self) -> str:
        """An API key with all rights, made before the first clock starts."""
        return self._key

    def make_key(self) -> "Product":
        """Make the API key; return the product itself."""
        name = f"bench-{secrets.token_hex(4)}"
        self._key = self.manage("create_api_key", name, "--scopes", "administrator").splitlines()[-1]
        return self

    def source(self, name: str = "bench", kind: str = "server") -> str:
        """Return the write key of a source, which is made if needed."""
        return self.manage("create_source", name, "--kind", kind, "--max-event-bytes", "262144").splitlines()[-1]

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """Open a connection to the database for yardsticks and for looking at results; each statement by itself."""
        connection = psycopg2.connect(self.dsn)
        connection.autocommit = True
        try:
            yield connection
        finally:
            connection.close()

    def http(self) -> HTTPConnection:
        """Open a kept HTTP connection."""
        parts = urlsplit(self.base_url)
        return HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=600)

    def call(self, method: str, path: str, content: Any = None, *, over: HTTPConnection | None = None) -> Any:
        """Call the management API and return its JSON."""
        http = over or self.http()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        http.request(method, path, body=None if content is None else orjson.dumps(content), headers=headers)
        response = http.getresponse()
        body = response.read()
        if over is None:
            http.close()
        if response.status >= 300:
            raise BenchmarkFailed(f"{method} {path} answered {response.status}: {body[:1000].decode(errors='replace')}")
        return orjson.loads(body) if body else None

    def pending(self) -> int:
        """Return how many messages wait in the inbox."""
        return int(self.call("GET", "/api/v1/ingestion/status")["inbox_pending"])

    def settle(self, *, every: float = 0.1, patience: float = 3600) -> None:
        """Wait until no message, no changed profile and no due check waits."""
        give_up_at = time.monotonic() + patience
        http = self.http()
        while time.monotonic() < give_up_at:
            status = self.call("GET", "/api/v1/ingestion/status", over=http)
            if not (status["inbox_pending"] or status["changes_pending"] or status["overdue_checks"]):
                http.close()
                return
            time.sleep(every)
        raise BenchmarkFailed("The product does not come to rest.")


@contextmanager
def own_product(**settings: str) -> Iterator[Product]:
    """Start the whole product in a temporary directory and stop it afterwards."""
    data_dir = Path(tempfile.mkdtemp(prefix="cdp-bench-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if not name.startswith("CDP_")}
    env |= {"CDP_ENV": "development", "CDP_DATA_DIR": str(data_dir), "CDP_PORT": str(port), "CDP_DEMO": "0"}
    env |= {"CDP_SUPPRESSION_KEY": SUPPRESSION_KEY, **settings}
    log = data_dir.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "cdp.embedded", "up"],
            cwd=REPOSITORY,
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            base_url = f"http://127.0.0.1:{port}"
            _wait_until_healthy(base_url, process, log)
            yield Product(base_url, env).make_key()
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=90)
            except subprocess.TimeoutExpired:
                process.kill()
            shutil.rmtree(data_dir, ignore_errors=True)
            log.unlink(missing_ok=True)


def running_product(base_url: str) -> Product:
    """Return the product that runs at an address; its commands are found by this process's environment."""
    return Product(base_url.rstrip("/"), dict(os.environ)).make_key()


def _wait_until_healthy(base_url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            raise BenchmarkFailed(f"The product ended while starting:\n{log.read_text(errors='replace')[-3000:]}")
        try:
            with urllib.request.urlopen(f"{base_url}/healthz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
    raise BenchmarkFailed(f"The product was not ready in {START_SECONDS} s:\n{log.read_text(errors='replace')[-3000:]}")
