"""Where data comes from and where it goes: sources → fields → segments → recipients, from what is configured.

A field goes to a recipient directly where it is a column of what is sent, a source where its messages are forwarded.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cdp.site.outlets import list_outlets
from consent.models import Purpose
from ingestion.queries.inventory import list_inventory
from segments.models import Segment, SegmentVersion

COLUMNS = ("source", "field", "segment", "recipient")
FIELD_TOKENS = ("trait:", "event:")
# Columns that are traits although they are called by a name of their own.
SENT_BY_NAME = frozenset({"email", "phone"})
# More of one kind than this cannot be read in a drawing; the table below it and REST have all.
MOST_DRAWN = 40
ROW, WIDTH, BOX, TOP = 34, 280, 210, 40


@dataclass(frozen=True, slots=True)
class Node:
    """A thing through which data goes. `kind` is one of `COLUMNS`."""

    kind: str
    name: str
    detail: str = ""

    @property
    def key(self) -> str:
        """The node's name among all."""
        return f"{self.kind}:{self.name}"

    @property
    def words(self) -> str:
        """The node as a page says it: a field by its own kind."""
        return self.name.replace(":", " ", 1) if self.kind == "field" else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Flow:
    """Data goes from one node to another, on a legal basis where a purpose is named."""

    start: str
    end: str
    basis: str = ""


class _Map:
    """Nodes and flows while they are put together."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.flows: dict[tuple[str, str], Flow] = {}
        self.purposes = {row.key: row for row in Purpose.objects.all()}

    def add(self, kind: str, name: str, detail: str = "") -> str:
        node = Node(kind, name, detail)
        self.nodes.setdefault(node.key, node)
        return node.key

    def join(self, start: str, end: str, purpose: str = "") -> None:
        found = self.purposes.get(purpose)
        basis = f"{purpose} ({found.legal_basis})" if found else purpose
        self.flows.setdefault((start, end), Flow(start, end, basis))


def read_lineage(*, now: datetime) -> tuple[list[Node], list[Flow]]:
    """Return all nodes and flows (a constant number of statements)."""
    found = _Map()
    for one in list_inventory(now=now):
        source = found.add("source", one.source.key, one.source.owner)
        for token in (*(f"trait:{trait}" for trait in one.traits), *(f"event:{name}" for name in one.event_names)):
            found.join(source, found.add("field", token), one.source.required_purpose)
    segments = {row.pk: row for row in Segment.objects.exclude(status="archived")}
    latest = {(row.segment_id, row.version): row for row in SegmentVersion.objects.filter(segment_id__in=segments)}
    for row in segments.values():
        segment = found.add("segment", row.key, row.purpose)
        version = latest.get((row.pk, row.version))
        for token in version.tokens if version is not None else []:
            if token.startswith(FIELD_TOKENS) and not token.endswith(":"):
                found.join(found.add("field", token), segment, row.purpose)
    _add_outlets(found)
    for purpose in found.purposes.values():
        for name in purpose.recipients:
            recipient = found.add("recipient", name)
            for row in segments.values():
                if row.purpose == purpose.key:
                    found.join(f"segment:{row.key}", recipient, purpose.key)
    ends = [one for one in found.flows.values() if one.start in found.nodes and one.end in found.nodes]
    return sorted(found.nodes.values(), key=lambda node: (COLUMNS.index(node.kind), node.name)), ends


def name_flows(nodes: list[Node], flows: list[Flow]) -> list[tuple[str, str, str]]:
    """Return start, end and basis of each flow as a page says them."""
    named = {node.key: node.words for node in nodes}
    return [(named[one.start], named[one.end], one.basis.replace("_", " ")) for one in flows]


def _add_outlets(found: _Map) -> None:
    for outlet in list_outlets():
        if not outlet.enabled:
            continue
        recipient = found.add("recipient", outlet.recipient, outlet.detail)
        start = f"segment:{outlet.segment}" if outlet.segment else f"source:{outlet.source}"
        found.join(start, recipient, outlet.purpose)
        for name in outlet.fields:
            token = f"trait:{name}" if name in SENT_BY_NAME else name
            if token.startswith(FIELD_TOKENS):
                found.join(found.add("field", token), recipient, outlet.purpose)


def draw(nodes: list[Node], flows: list[Flow]) -> dict[str, Any]:
    """Return places and lines of the drawing; what has no flow is left out where there is too much."""
    joined = {key for one in flows for key in (one.start, one.end)}
    places: dict[str, dict[str, Any]] = {}
    left_out = 0
    for column, kind in enumerate(COLUMNS):
        own = [node for node in nodes if node.kind == kind]
        if len(own) > MOST_DRAWN:
            own = [*(n for n in own if n.key in joined), *(n for n in own if n.key not in joined)]
        left_out += len(own[MOST_DRAWN:])
        for row, node in enumerate(own[:MOST_DRAWN]):
            shown = node.words if kind == "field" else node.name
            x, y = column * WIDTH + 10, TOP + row * ROW
            places[node.key] = {
                "x": x,
                "y": y,
                "middle": y + ROW // 2 - 4,
                "right": x + BOX,
                "kind": kind,
                "name": shown,
                "short": shown if len(shown) <= 28 else f"{shown[:27]}…",
                "detail": node.detail,
            }
    lines = [
        {
            "x1": places[one.start]["right"],
            "y1": places[one.start]["middle"],
            "x2": places[one.end]["x"],
            "y2": places[one.end]["middle"],
            "cx": (places[one.start]["right"] + places[one.end]["x"]) // 2,
            "basis": one.basis,
            "title": f"{places[one.start]['name']} → {places[one.end]['name']}",
        }
        for one in flows
        if one.start in places and one.end in places
    ]
    tallest = max((place["y"] for place in places.values()), default=TOP)
    heads = [{"x": column * WIDTH + 10, "text": f"{kind}s".capitalize()} for column, kind in enumerate(COLUMNS)]
    return {
        "places": list(places.values()),
        "lines": lines,
        "heads": heads,
        "width": (len(COLUMNS) - 1) * WIDTH + BOX + 20,
        "height": tallest + ROW + 10,
        "box": BOX,
        "row": ROW - 8,
        "left_out": left_out,
    }
