"""Access: how soon a revoked key and a right that was taken are refused, and what the time of an answer tells."""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.benchmarks.product import REPOSITORY, BenchmarkFailed, Product
from tests.benchmarks.report import Row, ms, quantile

LOOK_EVERY_SECONDS = 0.01
GIVE_UP_SECONDS = 30.0
REFUSED = {401, 403}
PASSWORD = "correct horse battery staple"
FORM = "application/x-www-form-urlencoded"


class Actor:
    """Another process of the installation, which changes rights."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def act(self, act: str, **asked: Any) -> tuple[float, Any]:
        """Let it act; return when that was committed, and what came of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"act": act, **asked}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise BenchmarkFailed(f"The process that changes rights ended at {act}.")
        told = json.loads(line)
        return told["at"], told["result"]


@contextmanager
def actor(product: Product) -> Iterator[Actor]:
    """Start the other process."""
    command = [sys.executable, "-m", "tests.benchmarks.acting"]
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**product.env, "CDP_LOG_LEVEL": "ERROR"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield Actor(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=30)


def access(product: Product, size: int) -> list[Row]:
    """Measure revocation and changes of rights across two processes, then what times tell of addresses."""
    with actor(product) as other:
        changes = [
            _row("key revoked in another process → refused", size, "≤ 5 s", _revocations(product, other, size)),
            _row("role taken → page refused", size, "next request", _roles(product, other, size)),
            *_shares(product, other, size),
        ]
        people = [f"person-{number}-{secrets.token_hex(3)}@house.example" for number in range(size)]
        for email in people:
            other.act("make_person", email=email, role="marketer", password=PASSWORD)
    strangers = [email.replace("person", "nobody") for email in people]
    return [
        *changes,
        *_timing("wrong password", product, "/admin/login/", people, strangers, _credentials),
        *_timing(
            "new password asked for", product, "/password/reset", people, strangers, lambda email: {"email": email}
        ),
    ]


def _credentials(email: str) -> dict[str, str]:
    return {"username": email, "password": "not the password at all"}


def _row(what: str, size: int, goal: str, waits: list[float]) -> Row:
    told = f"p50 {ms(quantile(waits, 0.5))}, p95 {ms(quantile(waits, 0.95))}, max {ms(max(waits))}"
    return Row(what, f"{size:,} times", told, goal)


def _revocations(product: Product, other: Actor, size: int) -> list[float]:
    waits = []
    http = product.http()
    for _ in range(size):
        name = f"bench-{secrets.token_hex(6)}"
        _, key = other.act("make_key", name=name)
        headers = {"Authorization": f"Bearer {key}"}
        # The web process knows the key for some seconds: at any moment of them it may be revoked.
        until = time.monotonic() + secrets.randbelow(3_000) / 1_000
        while time.monotonic() < until:
            if _status(http, "/api/v1/sources", headers) in REFUSED:
                raise BenchmarkFailed("A new key was refused.")
            time.sleep(LOOK_EVERY_SECONDS)
        at, _ = other.act("revoke", name=name)
        waits.append(_wait(http, "/api/v1/sources", headers, at, lambda status: status in REFUSED))
    return waits


def _roles(product: Product, other: Actor, size: int) -> list[float]:
    waits = []
    http = product.http()
    for _ in range(size):
        email, headers = _person(product, other)
        if _status(http, "/profiles", headers) != 200:
            raise BenchmarkFailed("A marketer does not see profiles.")
        at, _ = other.act("give_role", email=email, role=None)
        waits.append(_wait(http, "/profiles", headers, at, lambda status: status in REFUSED))
    return waits


def _shares(product: Product, other: Actor, size: int) -> list[Row]:
    definition = {"version": 1, "timezone": "UTC", "match": {"type": "trait", "path": "plan", "op": "exists"}}
    product.call("POST", "/api/v1/segments", {"key": "bench-shared", "definition": definition})
    given, taken = [], []
    http = product.http()
    for _ in range(size):
        email, headers = _person(product, other)
        other.act("give_role", email=email, role=None)
        at, _ = other.act("share", email=email, key="bench-shared", given=True)
        given.append(_wait(http, "/segments/bench-shared", headers, at, lambda status: status == 200))
        at, _ = other.act("share", email=email, key="bench-shared", given=False)
        taken.append(_wait(http, "/segments/bench-shared", headers, at, lambda status: status in REFUSED))
    return [
        _row("right on one segment given → page opens", size, "next request", given),
        _row("right on one segment taken → page refused", size, "next request", taken),
    ]


def _person(product: Product, other: Actor) -> tuple[str, dict[str, str]]:
    email = f"bench-{secrets.token_hex(6)}@house.example"
    _, session = other.act("make_person", email=email, role="marketer", password=PASSWORD)
    return email, {"Cookie": f"cdp_session_{urlsplit(product.base_url).port}={session}"}


def _wait(
    http: HTTPConnection, path: str, headers: dict[str, str], at: float, is_there: Callable[[int], bool]
) -> float:
    """Ask until the change is seen; return how long after its commit that answer came."""
    while time.monotonic() - at < GIVE_UP_SECONDS:
        if is_there(_status(http, path, headers)):
            return time.monotonic() - at
        time.sleep(LOOK_EVERY_SECONDS)
    raise BenchmarkFailed(f"{path} never showed the change.")


def _status(http: HTTPConnection, path: str, headers: dict[str, str]) -> int:
    http.request("GET", path, headers=headers)
    answer = http.getresponse()
    answer.read()
    return answer.status


def _timing(
    what: str,
    product: Product,
    path: str,
    people: list[str],
    strangers: list[str],
    fields: Callable[[str], dict[str, str]],
) -> list[Row]:
    """Ask by turns about somebody who is known and somebody who is not, each once."""
    http = product.http()
    http.request("GET", path)
    answer = http.getresponse()
    answer.read()
    name = f"cdp_csrf_{urlsplit(product.base_url).port}"
    token = (answer.getheader("Set-Cookie") or "").partition(f"{name}=")[2].partition(";")[0]
    headers = {"Cookie": f"{name}={token}", "Content-Type": FORM}
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    for pair in zip(people, strangers, strict=True):
        for kind, email in zip(times, pair, strict=True):
            body = urlencode({**fields(email), "csrfmiddlewaretoken": token})
            began = time.monotonic()
            http.request("POST", path, body=body, headers=headers)
            http.getresponse().read()
            times[kind].append(time.monotonic() - began)
    return [
        Row(
            f"{what}, address {kind}",
            f"{len(found):,} times",
            f"p50 {ms(quantile(found, 0.5))}, p95 {ms(quantile(found, 0.95))}, max {ms(max(found))}",
            "the same for both",
        )
        for kind, found in times.items()
    ]
