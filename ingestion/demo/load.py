"""Load the demo: stage by stage, chunk by chunk, never faster than the product keeps up."""

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TextIO

import orjson

from ingestion.demo.errors import DemoBusy
from ingestion.demo.messages import ORDER_COMPLETED, Addressed
from ingestion.demo.preparing import prepare_purposes, prepare_segments
from ingestion.demo.progress import Mark, ProgressLine, read_mark, write_mark
from ingestion.demo.reading import Journey, data_folder, read_journey
from ingestion.demo.send import Connection, Rest
from ingestion.demo.shifting import Shift, shift_to_yesterday
from ingestion.demo.stages import accounts_stage, invent_households, people_stage, week_stages
from ingestion.spec.limits import MAX_EVENT_BYTES

CHUNK_MESSAGES = 500
CHUNK_BYTES = 1_000_000
# Whoever tries the product meanwhile waits behind at most so many messages and changed profiles: about a second.
PENDING_LIMIT = 3_000
LOOK_AGAIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Door:
    """Where the product is and the keys that open it.

    Attributes
    ----------
    write_keys : mapping
        One for each source of `SOURCES`.
    count_pending : callable
        How many messages and changed profiles wait to be worked through. Asked after every request, so it has to be
        cheaper than the status that REST gives.
    """

    base_url: str
    write_keys: Mapping[str, str]
    api_key: str
    count_pending: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load came to. `resumed` is the number of chunks that an earlier start had sent."""

    orders: int
    messages: int
    resumed: int
    seconds: float


@dataclass(slots=True)
class Chunk:
    """Messages of one source that go out in one request."""

    source: str
    messages: list[bytes]
    orders: int = 0


# Name, kind and size limit (the largest basket has 161 lines, about 25 KB; room is left for richer ones).
SOURCES = (
    ("store", "server", 256 * 1024),
    ("web", "browser", MAX_EVENT_BYTES),
    ("crm", "server", MAX_EVENT_BYTES),
)


def load_demo(
    *,
    door: Door,
    data_dir: Path,
    households: int | None,
    today: date,
    stream: TextIO,
) -> Loaded:
    """Send the demo's year through the collection API, going on where an earlier start stopped.

    Parameters
    ----------
    door : Door
        The product, its keys, and how to see what waits in it.
    data_dir : Path
        Where the mark is kept that a later start goes on from.
    households : int or None
        Only the first so many; None for all.
    today : date
        In UTC; the data's last day becomes the day before. An earlier start's day is kept.
    stream : TextIO
        Where progress is written.

    Raises
    ------
    DemoError
        The data is not installed, another load is running, or the product does not answer.
    """
    began_at = time.monotonic()
    with _only_one(data_dir / "demo.lock"), closing(Connection(door.base_url)) as connection:
        journey = read_journey(data_folder(), households=households)
        mark_file = data_dir / "demo.progress"
        mark = read_mark(mark_file)
        if mark is None or mark.households != households:
            days = shift_to_yesterday(last_day=journey.last_day, today=today).days
            mark = Mark(journey.last_day + timedelta(days=days), households, 0)
        rest = Rest(connection, door.api_key)
        prepare_purposes(rest)
        line = ProgressLine(stream, total_orders=journey.basket_count)
        resumed, messages, orders = mark.chunks, 0, 0
        if resumed:
            stream.write("The demo goes on where an earlier start stopped.\n")
        for place, chunk in enumerate(_chunks(journey, Shift((mark.last_day - journey.last_day).days), rest)):
            messages += len(chunk.messages)
            orders += chunk.orders
            if place < resumed:
                continue
            _send(connection, door.write_keys[chunk.source], chunk.messages)
            mark = mark.advance()
            write_mark(mark_file, mark)
            line.show(orders=orders, messages=messages)
            while door.count_pending() > PENDING_LIMIT:
                time.sleep(LOOK_AGAIN_SECONDS)
        line.show(orders=orders, messages=messages, last=True)
        mark_file.unlink(missing_ok=True)
    return Loaded(orders, messages, resumed, time.monotonic() - began_at)


def _chunks(journey: Journey, shift: Shift, rest: Rest) -> Iterator[Chunk]:
    """Yield everything in the order in which it is sent; the segments are made once their people are there."""
    households = invent_households(journey)
    yield from _cut(people_stage(journey, households, shift=shift))
    yield from _cut(accounts_stage(households, shift=shift))
    prepare_segments(rest)
    for messages in week_stages(journey, households, shift=shift):
        yield from _cut(messages)


def _cut(messages: list[Addressed]) -> Iterator[Chunk]:
    waiting: dict[str, Chunk] = {}
    sizes: dict[str, int] = {}
    for _, source, message in messages:
        body = orjson.dumps(message)
        chunk = waiting.get(source)
        if chunk and (len(chunk.messages) == CHUNK_MESSAGES or sizes[source] + len(body) > CHUNK_BYTES):
            yield chunk
            chunk = None
        if chunk is None:
            chunk, sizes[source] = Chunk(source, []), 0
            waiting[source] = chunk
        chunk.messages.append(body)
        chunk.orders += message.get("event") == ORDER_COMPLETED
        sizes[source] += len(body)
    yield from waiting.values()


def _send(connection: Connection, write_key: str, messages: list[bytes]) -> None:
    sent_at = datetime.now(UTC).isoformat(timespec="milliseconds").encode()
    body = b'{"sentAt":"' + sent_at + b'","batch":[' + b",".join(messages) + b"]}"
    connection.collect(write_key=write_key, body=body)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoBusy("The demo is being loaded by another process; wait for it, or stop it first.") from error
        yield
