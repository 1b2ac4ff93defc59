"""Noting which events and properties sources send: gathered in the process, written every few seconds on its own.

Volumes of events are counted; properties are looked at in the first messages of each event and then in every
`EVERY`th, and their volumes estimated from that. What a process has gathered and not written is lost with it.
"""

import time
from datetime import datetime
from typing import Any

import orjson
from django.db import DatabaseError, connection

from cdp.core.copying import int_array, text_array
from ingestion.treatment.plans import PLANNED
from ingestion.treatment.shapes import safe_name, shape_of

FIRST = 5
EVERY = 50
FLUSH_SECONDS = 5.0
MAX_EVENTS = 500
MAX_PROPERTIES = 200
MAX_EXAMPLES = 5
MAX_DEPTH = 3
MAX_ROWS = 20_000
MAX_WRITTEN = 5_000
KINDS: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}
WRITE = f"""
INSERT INTO ingestion_discovered AS d
    (source_id, type, event, property, first_seen_at, last_seen_at, volume, types, examples)
SELECT t.source_id, t.type, t.event, t.property, t.first, t.last, t.volume,
    ARRAY(SELECT jsonb_array_elements_text(t.types::jsonb)), ARRAY(SELECT jsonb_array_elements_text(t.examples::jsonb))
FROM unnest(%s::int[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::bigint[],
    %s::text[], %s::text[]) AS t(source_id, type, event, property, first, last, volume, types, examples)
JOIN ingestion_source s ON s.id = t.source_id
WHERE (SELECT count(*) FROM ingestion_discovered n WHERE n.source_id = t.source_id) < {MAX_ROWS}
   OR EXISTS (SELECT FROM ingestion_discovered n WHERE
        (n.source_id, n.type, n.event, n.property) = (t.source_id, t.type, t.event, t.property))
ORDER BY 1, 2, 3, 4
ON CONFLICT (source_id, type, event, property) DO UPDATE SET
    first_seen_at = least(d.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(d.last_seen_at, excluded.last_seen_at),
    volume = d.volume + excluded.volume,
    types = ARRAY(SELECT DISTINCT unnest(d.types || excluded.types) ORDER BY 1),
    examples = (ARRAY(SELECT DISTINCT unnest(d.examples || excluded.examples) ORDER BY 1))[1:{MAX_EXAMPLES}]
"""


class _Seen:
    """What was seen of one event since the last flush."""

    __slots__ = ("count", "first", "last", "looked", "properties")

    def __init__(self, at: datetime) -> None:
        self.count = 0
        self.looked = 0
        self.first = self.last = at
        # Path → how often, types, examples.
        self.properties: dict[str, tuple[list[int], set[str], set[str]]] = {}

    def look(self, payload: dict[str, Any]) -> None:
        self.looked += 1
        self._look(payload, "", 1)

    def _look(self, value: dict[str, Any], above: str, depth: int) -> None:
        for name, inner in value.items():
            safe = safe_name(name)
            path = f"{above}.{safe}" if above else safe
            found = self.properties.get(path)
            if found is None:
                if len(self.properties) >= MAX_PROPERTIES:
                    continue
                found = self.properties[path] = ([0], set(), set())
            found[0][0] += 1
            found[1].add(KINDS.get(inner.__class__, "string"))
            if inner.__class__ is dict:
                if depth < MAX_DEPTH:
                    self._look(inner, path, depth + 1)
            elif inner.__class__ is list:
                first = next((one for one in inner if one.__class__ is dict), None)
                if first is not None and depth < MAX_DEPTH:
                    self._look(first, f"{path}[]", depth + 1)
            elif inner is not None and len(found[2]) < MAX_EXAMPLES:
                found[2].add(str(shape_of(inner)).lower() if inner.__class__ is bool else str(shape_of(inner)))


Key = tuple[int, str, str]
_gathered: dict[Key, _Seen] = {}
_flushed_at = 0.0


def discover(
    source_id: int, at: datetime, kind: str, name: str, properties: dict[str, Any], traits: dict[str, Any] | None
) -> None:
    """Note one message; called for each, so it does next to nothing for most.

    Parameters
    ----------
    at : datetime
        When it was received.
    name : str
        Event of a track; other types have none here.
    """
    key = (source_id, kind, name if kind == "track" else "")
    seen = _gathered.get(key)
    if seen is None:
        if len(_gathered) >= MAX_EVENTS:
            return
        seen = _gathered[key] = _Seen(at)
    seen.count += 1
    seen.last = at
    if seen.count <= FIRST or seen.count % EVERY == 0:
        payload = properties if PLANNED.get(kind) == "properties" else traits
        if payload:
            seen.look(payload)
        else:
            seen.looked += 1


def flush_discovered(*, now_or_later: bool = False) -> None:
    """Write what was gathered, if there is any and the last time is a few seconds ago.

    Parameters
    ----------
    now_or_later : bool
        False: whatever the time.
    """
    global _gathered, _flushed_at  # noqa: PLW0603 - one memory per process
    if not _gathered or (now_or_later and time.monotonic() - _flushed_at < FLUSH_SECONDS):
        return
    gathered, _gathered = _gathered, {}
    _flushed_at = time.monotonic()
    rows = list(_rows(gathered))[:MAX_WRITTEN]
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                WRITE,
                [
                    int_array(row[0] for row in rows),
                    *(text_array(row[place] for row in rows) for place in (1, 2, 3)),
                    [row[4] for row in rows],
                    [row[5] for row in rows],
                    int_array(row[6] for row in rows),
                    *(text_array(orjson.dumps(sorted(row[place])).decode() for row in rows) for place in (7, 8)),
                ],
            )
    except DatabaseError:
        # Only an estimate is lost; processing must not stop for it.
        if connection.in_atomic_block:
            raise


def _rows(gathered: dict[Key, _Seen]) -> Any:
    merged: dict[tuple[int, str, str, str], list[Any]] = {}
    for (source_id, kind, event), seen in gathered.items():
        name = safe_name(event) if event else ""
        share = seen.count / seen.looked if seen.looked else 1
        rows: list[tuple[str, int, set[str], set[str]]] = [("", seen.count, set(), set())]
        rows += [(path, round(n[0] * share), types, shown) for path, (n, types, shown) in seen.properties.items()]
        for path, volume, types, shown in rows:
            row = merged.setdefault((source_id, kind, name, path), [seen.first, seen.last, 0, set(), set()])
            row[0], row[1], row[2] = min(row[0], seen.first), max(row[1], seen.last), row[2] + volume
            row[3] |= types
            row[4] |= shown
    for key, (first, last, volume, types, shown) in merged.items():
        yield (*key, first, last, volume, types, sorted(shown)[:MAX_EXAMPLES])


def forget_discovered() -> None:
    """Forget what was gathered in this process."""
    _gathered.clear()
