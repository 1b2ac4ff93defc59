"""Load generators: processes with a few threads each, every thread with one kept connection and a raw socket.

Only for 127.0.0.1. Requests are made before the clock starts, so that the generator's own work weighs little; what it
still takes of the machine is part of every figure.
"""

import multiprocessing
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

Requests = Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of requests came to: seconds from first to last, seconds of each, answers other than 200 by status."""

    seconds: float
    latencies: list[float]
    refused: Counter[str]

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0


def post_bytes(path: str, write_key: str, body: bytes) -> bytes:
    """Return a whole HTTP/1.1 request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Write-Key: {write_key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run_load(
    base_url: str,
    make: Callable[[int, int], Requests],
    *,
    processes: int = 2,
    threads: int = 4,
    per_second: float | None = None,
) -> Outcome:
    """Send what `make(process, thread)` returns, from every thread at once.

    Parameters
    ----------
    per_second : float or None
        Of all threads together. A request's time counts from when it was due, so that a stall is seen by all the
        requests that it delays. None sends each request as soon as the one before is answered.
    """
    parts = urlsplit(base_url)
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    context = multiprocessing.get_context("fork")
    pace = None if per_second is None else processes * threads / per_second
    started = []
    for place in range(processes):
        ours, theirs = context.Pipe()
        worker = context.Process(target=_work, args=(theirs, address, make, place, threads, pace), daemon=True)
        worker.start()
        theirs.close()
        started.append((worker, ours))
    for _, pipe in started:
        pipe.recv()
    begin = time.monotonic() + 0.1
    for _, pipe in started:
        pipe.send(begin)
    latencies: list[float] = []
    refused: Counter[str] = Counter()
    end = begin
    for worker, pipe in started:
        seconds, bad, ended = pipe.recv()
        latencies += seconds
        refused += bad
        end = max(end, ended)
        worker.join()
    return Outcome(end - begin, latencies, refused)


def _work(
    pipe: Connection,
    address: tuple[str, int],
    make: Callable[[int, int], Requests],
    place: int,
    threads: int,
    pace: float | None,
) -> None:
    work = [make(place, thread) for thread in range(threads)]
    results: list[tuple[list[float], Counter[str]]] = [([], Counter())] * threads
    pipe.send("ready")
    begin = pipe.recv()

    def run(thread: int) -> None:
        offset = 0.0 if pace is None else pace * thread / threads
        results[thread] = _send_all(address, work[thread], begin + offset, pace)

    runners = [threading.Thread(target=run, args=(thread,)) for thread in range(threads)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    ended = time.monotonic()
    refused = sum((bad for _, bad in results), Counter())
    pipe.send(([one for seconds, _ in results for one in seconds], refused, ended))


def _send_all(
    address: tuple[str, int], requests: Requests, begin: float, pace: float | None
) -> tuple[list[float], Counter[str]]:
    seconds: list[float] = []
    refused: Counter[str] = Counter()
    wire = _connect(address)
    time.sleep(max(0.0, begin - time.monotonic()))
    for place, request in enumerate(requests):
        due = time.monotonic()
        if pace is not None:
            due = begin + place * pace
            time.sleep(max(0.0, due - time.monotonic()))
        try:
            wire.sendall(request)
            status, stays = _read_answer(wire)
        except OSError as error:
            status, stays = type(error).__name__, False
        seconds.append(time.monotonic() - due)
        if status != "200":
            refused[status] += 1
        if not stays:
            wire.close()
            wire = _connect(address)
    wire.close()
    return seconds, refused


def _connect(address: tuple[str, int]) -> socket.socket:
    wire = socket.create_connection(address, timeout=60)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return wire


def _read_answer(wire: socket.socket) -> tuple[str, bool]:
    """Read one answer; return its status, and whether the connection stays."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = wire.recv(65536)
        if not part:
            raise ConnectionError
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lower = head.lower()
    length = next((int(line[15:]) for line in lower.split(b"\r\n") if line.startswith(b"content-length:")), None)
    # Without a length the body comes in chunks, the last of which is empty.
    while not body.endswith(b"0\r\n\r\n") if length is None else len(body) < length:
        part = wire.recv(65536)
        if not part:
            raise ConnectionError
        body += part
    return head[9:12].decode(), b"connection: close" not in lower
