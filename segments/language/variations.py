"""What each row of a definition does to its result: one statement counts every variation of it at once.

Each condition is computed once for everybody; people with the same answers are counted together, and the variations are
sums over these groups. So twenty rows cost hardly more than the definition itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from segments.language.compile import Compiled, from_sql, with_sources
from segments.language.evaluate import sentence_of
from segments.language.logic import All, AnyOf, Not
from segments.language.nodes import Node
from segments.language.person import Segment
from segments.language.plan import Frame, Group, Leaf, Plan, Setting, Test

EVERYBODY = "true"


@dataclass(frozen=True, slots=True)
class Row:
    """A node of the definition, and the places of its counts among the statement's columns.

    Attributes
    ----------
    alone : int
        Of the people for whom it holds.
    left_after : int or None
        Of those who are left after it and all rows before it (of an outermost `any`: found so far). None below a group.
    without : int
        Of those whom the definition finds without it.
    """

    path: str
    sentence: str
    alone: int
    left_after: int | None
    without: int


@dataclass(frozen=True, slots=True)
class Variations:
    """A statement of one row, whose columns are counts; the first is that of the whole definition."""

    compiled: Compiled
    rows: tuple[Row, ...]


def compile_variations(
    segment: Segment,
    *,
    now: datetime,
    setting: Setting | None = None,
    inline: Mapping[str, Segment] | None = None,
) -> Variations:
    """Compile a definition to the statement that counts what each of its rows does.

    Parameters are those of `compile_segment`.
    """
    plan = Plan(
        now=now,
        setting=setting or Setting(),
        inline=inline or {},
    )
    frame = Frame(plan, segment.timezone)
    leaves: dict[str, str] = {}
    answers = {node.path: _answer(node.compile(frame), leaves) for node in segment.match.walk() if not node.children}
    counted = [_whole(segment.match, answers)]

    def count(expression: str) -> int:
        counted.append(expression)
        return len(counted) - 1

    rows = []
    before: list[str] = []
    word = " or " if isinstance(segment.match, AnyOf) else " and "
    top = segment.match.children if isinstance(segment.match, All | AnyOf) else (segment.match,)
    for node in segment.match.walk():
        if node is segment.match and isinstance(node, All | AnyOf):
            continue
        alone = _whole(node, answers)
        left = None
        if any(node is child for child in top):
            before.append(alone)
            left = count(f"({word.join(before)})")
        without = _without(segment.match, node, answers)
        rows.append(Row(node.path, sentence_of(node), count(alone), left, count(without or EVERYBODY)))
    selected = [f"coalesce({test}, false) as {name}" for test, name in leaves.items()]
    columns = "".join(f",\n        {column}" for column in selected)
    names = ", ".join(leaves.values())
    grouped = f"\n    group by {names}" if names else ""
    plan.sources["answers"] = lambda: (
        f"select p.id{columns}\n    {from_sql(plan, besides=('answers', 'groups'))}\n    where not p.restricted"
    )
    plan.sources["groups"] = lambda: (
        f"select {names + ', ' if names else ''}count(*) as people\n    from answers{grouped}"
    )
    sums = ",\n    ".join(
        f"coalesce(sum(people) filter (where {expression}), 0)::bigint as n{number}"
        for number, expression in enumerate(counted)
    )
    body = f"select\n    {sums}\nfrom groups"
    last = ("answers", "groups")
    return Variations(Compiled(with_sources(plan, body, last=last), plan.parameters), tuple(rows))


def _answer(test: Test, leaves: dict[str, str]) -> str:
    """Return a test in terms of computed answers, adding those that it needs."""
    if isinstance(test, Leaf):
        return leaves.setdefault(test.test, f"a{len(leaves) + 1}")
    parts = [_answer(child, leaves) for child in test.children]
    return f"(not {parts[0]})" if test.kind == "not" else f"({f' {_word(test)} '.join(parts)})"


def _word(test: Group) -> str:
    return "and" if test.kind == "all" else "or"


def _whole(node: Node, answers: Mapping[str, str]) -> str:
    """Return a node in terms of the answers of its conditions."""
    if isinstance(node, All | AnyOf):
        word = " and " if isinstance(node, All) else " or "
        return f"({word.join(_whole(child, answers) for child in node.of)})"
    return f"(not {_whole(node.of, answers)})" if isinstance(node, Not) else answers[node.path]


def _without(node: Node, left_out: Node, answers: Mapping[str, str]) -> str | None:
    """Return a node without one of those below it; None if nothing is left of it."""
    if node is left_out:
        return None
    if not node.children:
        return answers[node.path]
    parts = [text for child in node.children if (text := _without(child, left_out, answers)) is not None]
    if not parts:
        return None
    if isinstance(node, Not):
        return f"(not {parts[0]})"
    return f"({(' and ' if isinstance(node, All) else ' or ').join(parts)})"
