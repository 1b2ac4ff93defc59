"""The reference: what a definition says about one person, in plain Python. Every engine must agree with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from segments.language.logic import All, AnyOf, Not
from segments.language.nodes import Node
from segments.language.person import Moment, Person, Segment
from segments.language.plan import Frame, Plan, Setting


@dataclass(frozen=True, slots=True)
class Explanation:
    """One line of the answer to "why is this person in the segment, or not?"."""

    path: str
    sentence: str
    result: bool
    observed: Any


def evaluate(segment: Segment, person: Person, at: Moment) -> bool:
    """Tell whether the person matches the definition at the moment.

    Parameters
    ----------
    at : Moment
        Its time zone is replaced by that of the definition.
    """
    return segment.match.holds(person, at.of(segment))


def next_change(segment: Segment, person: Person, at: Moment) -> datetime | None:
    """Return the next instant after `now` at which the answer could change by itself, before `runs_at`.

    None means never. Early is possible, late is not.
    """
    return segment.match.next_change(person, at.of(segment))


def runs_at(segment: Segment, at: Moment) -> datetime | None:
    """Return when everyone has to be looked at again, whatever `next_change` says; None means never."""
    plan = Plan(now=at.now, setting=Setting(at.installation_zone), inline=at.inline)
    return segment.match.runs_at(Frame(plan, segment.timezone))


def explain(segment: Segment, person: Person, at: Moment) -> list[Explanation]:
    """Explain the answer node by node, the outermost first.

    Returns
    -------
    list of Explanation
        `observed` is what was found: the trait's value, the count, the state of consent.
    """
    moment = at.of(segment)
    return [
        Explanation(node.path, sentence_of(node), node.holds(person, moment), node.observe(person, moment))
        for node in segment.match.walk()
    ]


def sentence_of(node: Node) -> str:
    """Return the sentence of a node for a tree, in which groups only say how their children are joined."""
    if isinstance(node, All | AnyOf):
        return f"{node.label.lower()}:"
    return "not:" if isinstance(node, Not) else node.sentence()


def sentence(segment: Segment) -> str:
    """Return the definition as one English sentence."""
    return f"People for whom: {segment.match.sentence()}."


def depends(segment: Segment) -> set[str]:
    """Return what a change has to touch to matter to the definition.

    Returns
    -------
    set of str
        `trait:<top-level name>`, `event:<name>` or `event:*`, `consent:<purpose>`, `segment:<key>`, `list:<key>`,
        `identifier:<type>`.
    """
    from_zone = {"trait:timezone"} if segment.timezone == "profile" else set()
    return segment.match.tokens() | from_zone


def leaf_nodes(segment: Segment) -> Iterator[Node]:
    """Yield the conditions without children."""
    return (node for node in segment.match.walk() if not node.children)
