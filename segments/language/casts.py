"""Which values a definition reads as numbers, truths or times: what cannot be read so counts as missing (rule 3)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from segments.language.condition_sql import Place, rows_at
from segments.language.conditions import ON_ELEMENTS, Condition
from segments.language.event_picks import Picked
from segments.language.events import Did
from segments.language.held import TraitHeld
from segments.language.nodes import Node
from segments.language.person import Segment
from segments.language.plan import Frame, Plan
from segments.language.properties import Property, PropertyNode, event_place
from segments.language.scans import PSEUDO_TABLES
from segments.language.sequences import InOrder
from segments.language.traits import Trait, trait_at

# As text, anything but an array or object can be read.
READ = {
    "number": "cdp_number({v})",
    "boolean": "cdp_boolean({v})",
    "datetime": "cdp_instant({v} #>> '{{}}', 'UTC')",
    "date": "cdp_instant({v} #>> '{{}}', 'UTC')",
}
NUMERIC = ("sum", "avg", "min", "max")


@dataclass(frozen=True, slots=True)
class Cast:
    """A value that is read as something.

    Attributes
    ----------
    path : str
        The place of the condition in the definition.
    names : tuple of str
        The events that have it as a property; empty for a trait.
    field : tuple of str
        Its path in the traits, or in the event.
    cast : str
        One of `READ`.
    """

    path: str
    names: tuple[str, ...]
    field: tuple[str, ...]
    cast: str


def casts_of(segment: Segment) -> list[Cast]:
    """Return what a definition reads as something other than text, without repetition."""
    return list(dict.fromkeys(cast for node in segment.match.walk() for cast in _of_node(node)))


def unreadable_sql(cast: Cast, frame: Frame) -> str:
    """Return the condition that a value is there and cannot be read; of an event `e`, or of a profile `p`."""
    place = event_place("e", cast.field) if cast.names else _trait(cast, frame.plan)
    read = READ[cast.cast].format(v="c.v")
    found = rows_at(place, frame, "c")
    return f"exists (select 1 from {found} where jsonb_typeof(c.v) <> 'null' and {read} is null)"


def latest_sql(names: Iterable[str], plan: Plan, most: int) -> str:
    """Return the SELECT of the latest events of some names, so many of each: properties and context."""
    parts = []
    for name in names:
        table = PSEUDO_TABLES.get(name)
        named = "" if table else f" where name = {plan.bind(name, 'name')}"
        source = table or "profiles_event"
        parts.append(f"(select properties, context from {source}{named} order by occurred_at desc limit {most})")
    return " union all ".join(parts)


def _trait(cast: Cast, plan: Plan) -> Place:
    return trait_at(cast.field, plan, plan.main)


def _of_node(node: Node) -> Iterator[Cast]:
    if isinstance(node, Trait | TraitHeld):
        yield from _of_condition(node.path, (), node.trait, node.condition)
    elif isinstance(node, Did):
        yield from _of_where(node.path, node.what.names, node.what.where)
        if node.measure.function in NUMERIC:
            yield Cast(node.path, node.what.names, node.measure.of_what, "number")
    elif isinstance(node, Picked):
        yield from _of_where(node.path, node.what.names, node.what.where)
        yield from _of_where(node.path, node.what.names, node.has)
    elif isinstance(node, InOrder):
        for step in node.steps:
            yield from _of_where(node.path, step.names, step.where)


def _of_where(path: str, names: tuple[str, ...], where: PropertyNode | None) -> Iterator[Cast]:
    leaves: Iterable[Property] = where.leaves() if where else ()
    for leaf in leaves:
        yield from _of_condition(path, names, leaf.property, leaf.condition)


def _of_condition(path: str, names: tuple[str, ...], field: tuple[str, ...], condition: Condition) -> Iterator[Cast]:
    # Of arrays these look at the elements, which are of any type.
    on_elements = condition.positive in {*ON_ELEMENTS, "contains"}
    if condition.cast in READ and not on_elements:
        yield Cast(path, names, field, condition.cast)
