"""How two groups of people differ in one trait: shares of its values, or the course of its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from segments.errors import InvalidDefinition
from segments.language.compile import from_sql, with_sources
from segments.language.condition_sql import rows_at
from segments.language.plan import Frame, Plan, Setting
from segments.language.reading import Fault, read_path
from segments.language.traits import trait_at
from segments.queries.preview import Trial, ask, statement_text
from segments.queries.segments import read_setting

MOST_VALUES = 20
QUANTILES = [0.1, 0.25, 0.5, 0.75, 0.9]
SIDES = ("left_side", "right_side")

COUNTED = """
select value, coalesce(sum(people) filter (where side = 1), 0)::bigint,
    coalesce(sum(people) filter (where side = 2), 0)::bigint, bool_or(numeric),
    coalesce(sum(sum(people) filter (where side = 1)) over (), 0)::bigint,
    coalesce(sum(sum(people) filter (where side = 2)) over (), 0)::bigint
from (
    select side, case when jsonb_typeof(v) in ('array', 'object') then left(v::text, 200) else cdp_text(v) end as value,
        count(*) as people, bool_or(cdp_number(v) is not null) as numeric
    from held group by 1, 2
) as counted
group by value order by sum(people) desc, value nulls first limit {most}
"""
MEASURED = """
select side, count(n), min(n), max(n), avg(n), percentile_cont(%(quantiles)s::float8[]) within group (order by n)
from (select side, cdp_number(v)::float8 as n from held) as numbers where n is not null group by side
"""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The course of a trait's numbers in one group, with its quantiles `QUANTILES`; None where there is no number."""

    known: int = 0
    least: float | None = None
    most: float | None = None
    mean: float | None = None
    quantiles: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two groups by one trait.

    Attributes
    ----------
    counts : pair of int
        How many people the groups have.
    values : list of (str or None, int, int)
        The most frequent values with how many people of each group have them; None stands for "not known".
    others : pair of int
        People with further values.
    numbers : pair of Numbers
        Of what can be read as a number.
    """

    counts: tuple[int, int]
    values: list[tuple[str | None, int, int]] = field(default_factory=list)
    others: tuple[int, int] = (0, 0)
    numbers: tuple[Numbers, Numbers] | None = None


def compare_segments(*, left: Trial, right: Trial, trait: str, smallest: int) -> Comparison:
    """Compare two definitions in a trait.

    Parameters
    ----------
    trait : str
        Its path; where it leads through an array, the first value counts.
    smallest : int
        Values that fewer people of both groups together have are not named, but counted with the others.

    Raises
    ------
    InvalidDefinition
        If the trait is no path.
    PreviewTooSlow
        If it takes too long.
    """
    setting = read_setting()
    texts = [_text(side, setting) for side in (left, right)]
    held = _Held(left.now, setting, (texts[0], texts[1]), trait)
    rows = held.ask(COUNTED.format(most=MOST_VALUES))
    sizes = rows[0][4:] if rows else (0, 0)
    shown = [(value, a, b) for value, a, b, *_ in rows if a + b >= smallest or value is None]
    others = sizes[0] - sum(a for _, a, _ in shown), sizes[1] - sum(b for _, _, b in shown)
    known = [row[3] for row in rows if row[0] is not None]
    if not known or not all(known):
        return Comparison(sizes, shown, others)
    measured = {side: Numbers(*rest) for side, *rest in held.ask(MEASURED)}
    told = [_told(measured.get(side, Numbers()), smallest) for side in (1, 2)]
    return Comparison(sizes, shown, others, (told[0], told[1]))


def _told(numbers: Numbers, smallest: int) -> Numbers:
    """Return the course of numbers, unless it would tell of too few people."""
    return numbers if numbers.known >= smallest else Numbers(numbers.known)


def _text(trial: Trial, setting: Setting) -> str:
    # Each definition has its values under names of its own, so they are put in here.
    compiled = trial.compile(setting)
    return statement_text(compiled.sql, compiled.parameters).replace("%", "%%")


@dataclass(frozen=True, slots=True)
class _Held:
    """The relation `held(side, v)`: of both groups' people, the value of the trait (null: not known)."""

    now: datetime
    setting: Setting
    sides: tuple[str, str]
    trait: str

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        """Answer a question about it."""
        plan = Plan(now=self.now, setting=self.setting)
        try:
            place = trait_at(read_path(self.trait, "trait"), plan, plan.main)
        except Fault as fault:
            raise InvalidDefinition(fault.errors) from fault
        found = rows_at(place, Frame(plan, "UTC"), "c")
        plan.bind(QUANTILES, "quantiles")
        for name, text in zip(SIDES, self.sides, strict=True):
            plan.sources[name] = lambda text=text: text  # type: ignore[misc]
        plan.sources["held"] = lambda: (
            f"select s.side, (select c.v from {found} where c.v <> 'null'::jsonb limit 1) as v\n"
            f"    {from_sql(plan, besides=(*SIDES, 'held'))}\n"
            "    join (select profile_id, 1 as side from left_side union all select profile_id, 2 from right_side) s"
            " on s.profile_id = p.id"
        )
        return ask(with_sources(plan, question, last=(*SIDES, "held")), plan.parameters)
