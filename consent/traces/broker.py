"""Traces in the broker: every key and every value of Valkey or Redis."""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis

from consent.traces.needles import Needles

PAGE = 500


def count_in_broker(*, url: str, needles: Needles, looked: dict[str, int]) -> int:
    """Return how many keys hold a trace, in their name or value; another kind of broker cannot be read and counts 0.

    Parameters
    ----------
    url : str
        The broker's address as Celery takes it.
    looked : dict
        Gets how many keys were looked at.
    """
    client = _connect(url)
    if client is None:
        return 0
    with client:
        keys = set(client.scan_iter(count=PAGE))
        looked["broker_keys"] = len(keys)
        return sum(any(needles.found_in(part) for part in (key, *_values(client, key))) for key in keys)


def _connect(url: str) -> redis.Redis | None:
    parts = urlsplit(url)
    if parts.scheme in ("redis", "rediss"):
        return redis.Redis.from_url(url)
    if parts.scheme == "redis+socket":
        query = parse_qs(parts.query)
        return redis.Redis(
            unix_socket_path=parts.path,
            db=int(query.get("virtual_host", ["0"])[0]),
            password=parts.password,
        )
    return None


def _values(client: Any, key: bytes) -> Iterable[bytes]:
    kind = client.type(key)
    if kind == b"string":
        yield client.get(key) or b""
    elif kind == b"list":
        yield from client.lrange(key, 0, -1)
    elif kind == b"set":
        yield from client.sscan_iter(key)
    elif kind == b"zset":
        yield from (member for member, _ in client.zscan_iter(key))
    elif kind == b"hash":
        yield from _flat(client.hscan_iter(key))
    elif kind == b"stream":
        for _, fields in client.xrange(key):
            yield from _flat(fields.items())


def _flat(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    for pair in pairs:
        yield from pair
