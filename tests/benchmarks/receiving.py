"""A receiver of deliveries in a process of its own: answers at once and counts requests and people."""

import multiprocessing
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
# Stands once for each person in the bodies that the benchmark has sent.
PERSON = b'"person"'
LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where it listens, and what it has counted so far."""

    url: str
    requests: Any
    people: Any


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Listen on a free port of this machine."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    context = multiprocessing.get_context("fork")
    requests, people = context.Value("q", 0), context.Value("q", 0)
    worker = context.Process(target=_serve, args=(listening, requests, people), daemon=True)
    worker.start()
    port = listening.getsockname()[1]
    listening.close()
    try:
        yield Receiver(f"http://127.0.0.1:{port}", requests, people)
    finally:
        worker.terminate()
        worker.join()


def _serve(listening: socket.socket, requests: Any, people: Any) -> None:
    while True:
        wire, _ = listening.accept()
        threading.Thread(target=_answer_all, args=(wire, requests, people), daemon=True).start()


def _answer_all(wire: socket.socket, requests: Any, people: Any) -> None:
    with wire, wire.makefile("rb") as lines:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while lines.readline():
            length = 0
            while (line := lines.readline()) not in {b"\r\n", b""}:
                if line.lower().startswith(LENGTH):
                    length = int(line[len(LENGTH) :])
            body = lines.read(length)
            with requests.get_lock():
                requests.value += 1
                people.value += body.count(PERSON)
            wire.sendall(ANSWER)
