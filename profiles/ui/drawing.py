"""Laying the identifier graph out: a tree around its best-connected identifier; leaves of one kind become one node."""

import math
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from profiles.queries.graph import GraphEdge

RING = 105
MARGIN = 75
# So many leaves of one type around one identifier are still drawn one by one.
FEW_LEAVES = 4
MOST_NODES = 60
MOST_CHARACTERS = 22
LABELLED = 40


@dataclass(slots=True)
class Spot:
    """A node of the drawing: one identifier, or `count` of one type that all hang on the same one.

    `label` is what to write at it, filled in by the caller.
    """

    id: int
    type: str
    label: str = ""
    count: int = 1
    x: float = 0
    y: float = 0

    @property
    def caption_y(self) -> float:
        """Where the type is written, below the node."""
        return round(self.y + 23, 1)

    @property
    def value_y(self) -> float:
        """Where the value is written, below the type."""
        return round(self.y + 36, 1)


@dataclass(frozen=True, slots=True)
class Line:
    """A link of the drawing; one of several, drawn as one, leads to the first of them."""

    edge: GraphEdge
    count: int
    is_weakest: bool
    start: Spot
    end: Spot


@dataclass(slots=True)
class Drawing:
    """What is drawn. `left_out` counts identifiers for which there is no room."""

    size: int = 2 * MARGIN
    spots: list[Spot] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    left_out: int = 0

    @property
    def has_labels(self) -> bool:
        """Whether there is room for text."""
        return len(self.spots) <= LABELLED


def shorten(label: str) -> str:
    """Return what of a label there is room for."""
    return label if len(label) <= MOST_CHARACTERS else f"{label[: MOST_CHARACTERS - 1]}…"


def draw(*, edges: Sequence[GraphEdge], weakest: GraphEdge | None) -> Drawing:
    """Lay a graph out; the one link that the confidence is about is marked."""
    types: dict[int, str] = {}
    neighbours: dict[int, list[GraphEdge]] = defaultdict(list)
    for edge in edges:
        neighbours[edge.a].append(edge)
        neighbours[edge.b].append(edge)
        types[edge.a], types[edge.b] = edge.type_a, edge.type_b
    if not neighbours:
        return Drawing()
    root = max(neighbours, key=lambda one: (len(neighbours[one]), -one))
    spot_of, tree, order = _gather(root, neighbours, types)
    drawing = Drawing(spots=list({id(spot): spot for spot in spot_of.values()}.values()))
    drawing.left_out = len(neighbours) - len(spot_of)
    depth = _place(root, tree, order, spot_of)
    drawing.size = 2 * (depth * RING + MARGIN)
    for spot in drawing.spots:
        spot.x, spot.y = round(spot.x + drawing.size / 2, 1), round(spot.y + drawing.size / 2, 1)
    drawing.lines = _lines(edges, spot_of, weakest)
    return drawing


def _gather(
    root: int, neighbours: Mapping[int, list[GraphEdge]], types: Mapping[int, str]
) -> tuple[dict[int, Spot], dict[int, list[int]], list[int]]:
    """Walk from the root; return a spot for each identifier there is room for, the tree, and the order of the walk."""
    spot_of = {root: Spot(root, types[root])}
    tree: dict[int, list[int]] = {}
    order = [root]
    waiting = deque([root])
    spots = 1
    while waiting:
        one = waiting.popleft()
        tree[one] = []
        reached = [edge.b if edge.a == one else edge.a for edge in neighbours[one]]
        fresh = [other for other in dict.fromkeys(reached) if other not in spot_of]
        leaves = [other for other in fresh if len(neighbours[other]) == 1]
        crowded = {kind for kind, count in Counter(types[leaf] for leaf in leaves).items() if count > FEW_LEAVES}
        together: dict[str, Spot] = {}
        for other in fresh:
            kind = types[other]
            if kind in crowded and len(neighbours[other]) == 1 and kind in together:
                together[kind].count += 1
                spot_of[other] = together[kind]
                continue
            if spots >= MOST_NODES:
                continue
            spots += 1
            spot_of[other] = Spot(other, kind)
            tree[one].append(other)
            order.append(other)
            if kind in crowded and len(neighbours[other]) == 1:
                together[kind] = spot_of[other]
            else:
                waiting.append(other)
    return spot_of, tree, order


def _place(root: int, tree: Mapping[int, list[int]], order: Sequence[int], spot_of: Mapping[int, Spot]) -> int:
    """Give each node of the tree its place on the ring of its depth; return the number of rings."""
    leaves: dict[int, int] = {}
    for one in reversed(order):
        leaves[one] = sum(leaves[child] for child in tree.get(one, ())) or 1
    depths = {root: 0}
    sectors = {root: (0.0, 2 * math.pi)}
    for one in order:
        start, end = sectors[one]
        angle = (start + end) / 2
        spot = spot_of[one]
        spot.x, spot.y = (
            depths[one] * RING * math.cos(angle - math.pi / 2),
            depths[one] * RING * math.sin(angle - math.pi / 2),
        )
        for child in tree.get(one, ()):
            width = (end - start) * leaves[child] / leaves[one]
            depths[child], sectors[child] = depths[one] + 1, (start, start + width)
            start += width
    return max(depths.values())


def _lines(edges: Sequence[GraphEdge], spot_of: Mapping[int, Spot], weakest: GraphEdge | None) -> list[Line]:
    drawn: dict[tuple[int, int], list[GraphEdge]] = defaultdict(list)
    for edge in edges:
        if edge.a in spot_of and edge.b in spot_of:
            one, other = id(spot_of[edge.a]), id(spot_of[edge.b])
            drawn[min(one, other), max(one, other)].append(edge)
    lines = []
    for together in drawn.values():
        is_weakest = weakest is not None and any(edge.id == weakest.id for edge in together)
        first = weakest if is_weakest and weakest is not None else together[0]
        lines.append(Line(first, len(together), is_weakest, spot_of[first.a], spot_of[first.b]))
    return lines
