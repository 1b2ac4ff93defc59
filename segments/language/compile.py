"""A definition → one SQL statement for PostgreSQL 15 or later.

Layout: one CTE per source (named after what it reads), then the profiles joined with the sources and the definition's
tests in WHERE. So the statement reads like the definition, and the planner is free to begin with the rarest source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from segments.language.person import Segment
from segments.language.plan import Frame, Group, Leaf, Plan, Setting, Test, person_zone_sql

NEVER = "'infinity'::timestamptz"
ALWAYS_PAST = "'-infinity'::timestamptz"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement with its parameters (psycopg2's named style).

    Attributes
    ----------
    sql : str
        Columns: `profile_id`, and of a timed statement also `member` and `next_at` (null: never). A statement for some
        profiles also takes the parameter `profile_ids`, an array of bigint.
    runs_at : datetime or None
        Of a timed statement: when everyone has to be looked at again, whatever `next_at` says; None means never.
    """

    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    runs_at: datetime | None = None


def compile_segment(
    segment: Segment,
    *,
    now: datetime,
    setting: Setting | None = None,
    some: bool = False,
    inline: Mapping[str, Segment] | None = None,
) -> Compiled:
    """Compile a definition to the statement that finds its members.

    Parameters
    ----------
    now : datetime
        The frozen instant of the run (aware).
    setting : Setting or None
        What holds for every definition of the installation.
    some : bool
        Restrict the statement to the profiles in the parameter `profile_ids`.
    inline : mapping or None
        Definitions of referenced segments that are evaluated in place, at the same `now`, instead of read from stored
        membership.

    Returns
    -------
    Compiled
        One row per member, column `profile_id`.
    """
    plan = Plan(
        now=now,
        setting=setting or Setting(),
        some=some,
        inline=inline or {},
    )
    frame = Frame(plan, segment.timezone)
    test = segment.match.compile(frame)
    where = _where(test, plan, indent="  ")
    body = f"select p.id as profile_id\n{from_sql(plan)}\nwhere not p.restricted{plan.only('p.id')}\n{where}"
    return Compiled(with_sources(plan, body), plan.parameters)


def compile_membership(
    segment: Segment,
    *,
    now: datetime,
    setting: Setting | None = None,
    some: bool = False,
) -> Compiled:
    """Compile a definition to the statement that tells who is a member and when that may change by itself.

    Parameters are those of `compile_segment`.

    Returns
    -------
    Compiled
        Columns `profile_id`, `member`, `next_at`; rows that are neither members nor will ever change by time alone are
        left out.
    """
    plan = Plan(
        now=now,
        setting=setting or Setting(),
        some=some,
        timed=True,
    )
    frame = Frame(plan, segment.timezone)
    test = segment.match.compile(frame)
    leaves: list[Leaf] = []
    member, next_at, steady = _timed(test, leaves)
    columns = [f"    coalesce({leaf.test}, false) as v{number}" for number, leaf in enumerate(leaves, 1)]
    columns += [
        f"    coalesce({leaf.next_at}, {NEVER}) as n{number}" for number, leaf in enumerate(leaves, 1) if leaf.next_at
    ]
    selected = ",\n".join(["    p.id as profile_id", *columns])
    # What time cannot change is tested first: where it fails, the profile is out and stays out.
    fixed = "".join(f"\n  and {text}" for text in steady)
    plan.sources["leaves"] = lambda: (
        f"select\n    {selected.strip()}\n    {from_sql(plan)}\n    where not p.restricted{plan.only('p.id')}{fixed}"
    )
    outcome = f"select profile_id, {member} as member, nullif({next_at}, {NEVER}) as next_at\nfrom leaves"
    body = f"select profile_id, member, next_at\nfrom (\n{outcome}\n) as outcome\nwhere member or next_at is not null"
    return Compiled(with_sources(plan, body), plan.parameters, segment.match.runs_at(frame))


def with_sources(plan: Plan, body: str, *, last: Sequence[str] = ("leaves",)) -> str:
    """Put the sources of a plan before a statement; those in `last` read the others and come after them, in order."""
    rendered = []
    done: set[str] = set()
    # Rendering a source may add further ones and note that zones are needed.
    while len(done) < len(plan.sources):
        for name in list(plan.sources):
            if name not in done:
                done.add(name)
                rendered.append((name, plan.sources[name]()))
    rendered.sort(key=lambda item: last.index(item[0]) + 1 if item[0] in last else 0)
    parts = [f"{name} as (\n    {text}\n)" for name, text in rendered]
    if plan.zone_columns:
        parts.insert(0, person_zone_sql(plan))
    ctes = ",\n".join(parts)
    return f"with {ctes}\n{body}" if parts else body


def from_sql(plan: Plan, *, besides: Sequence[str] = ("leaves",)) -> str:
    """Return the profiles joined with the sources of a plan, but for those that read them."""
    joins = [f"left join {name} on {name}.profile_id = p.id" for name in plan.sources if name not in besides]
    if plan.main.uses_zone:
        joins.insert(0, "join person_zone z on z.profile_id = p.id")
    return "\n".join(["from profiles_profile p", *joins])


def _where(test: Test, plan: Plan, *, indent: str) -> str:
    """Write the tests as conditions, each beginning with `and`: those of the outermost `all` one by one."""
    if isinstance(test, Group) and test.kind == "all":
        return "\n".join(_where(child, plan, indent=indent) for child in test.children)
    return f"{indent}and {expression(test, strict=True)}"


def expression(test: Test, *, strict: bool) -> str:
    """Write a test; `strict` allows null for false, which lets the planner turn outer joins into inner ones."""
    if isinstance(test, Leaf):
        return f"({test.test})" if strict else f"coalesce({test.test}, false)"
    if test.kind == "not":
        return f"not {expression(test.children[0], strict=False)}"
    word = f" {'and' if test.kind == 'all' else 'or'} "
    return f"({word.join(expression(child, strict=strict) for child in test.children)})"


def _timed(test: Test, leaves: list[Leaf]) -> tuple[str, str, list[str]]:
    """Return expressions for membership and next change, and the fixed tests that every member passes.

    A group changes no earlier than the last of its decisive children, or, without one, than the first of all: see
    `logic._next`.
    """
    if isinstance(test, Leaf):
        leaves.append(test)
        number = len(leaves)
        fixed = [] if test.next_at else [f"({test.test})"]
        return f"v{number}", f"n{number}" if test.next_at else NEVER, fixed
    if test.kind == "not":
        value, next_at, _ = _timed(test.children[0], leaves)
        return f"(not {value})", next_at, []
    parts = [_timed(child, leaves) for child in test.children]
    word = f" {'and' if test.kind == 'all' else 'or'} "
    value = f"({word.join(part[0] for part in parts)})"
    fixed = [text for part in parts for text in part[2]] if test.kind == "all" else []
    nexts = [part[1] for part in parts]
    if all(each == NEVER for each in nexts):
        return value, NEVER, fixed
    first = f"least({', '.join(nexts)})"
    decisive = "not " if test.kind == "all" else ""
    waits = [f"case when {decisive}{part[0]} then {part[1]} else {ALWAYS_PAST} end" for part in parts]
    settled = value if test.kind == "all" else f"not {value}"
    return value, f"case when {settled} then {first} else greatest({', '.join(waits)}) end", fixed
