"""How many values a definition could not read: text where it asks for a number, or what is no time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segments.language.casts import Cast, casts_of, latest_sql, unreadable_sql
from segments.language.compile import from_sql, with_sources
from segments.language.plan import Frame, Plan
from segments.language.scans import ANY_EVENT, named_words
from segments.language.sessions import SESSION
from segments.queries.preview import Trial, ask
from segments.queries.segments import read_setting

EXAMINED = 20_000
KINDS = {"number": "a number", "boolean": "true or false", "datetime": "a time", "date": "a date"}
# Of all events the latest cannot be found quickly; what sessions have is made by the product itself.
NOT_EXAMINED = {ANY_EVENT, SESSION}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A value that could not be read as asked.

    Attributes
    ----------
    path : str
        The place of the condition in the definition.
    events : str
        The events that have it, in words; empty for a trait.
    field : str
        Its path, with dots.
    count : int
        How many people have such a value of the trait, or how many of the latest `EXAMINED` events of each name.
    """

    path: str
    events: str
    field: str
    cast: str
    count: int

    def words(self, count: int | None, smallest: int) -> str:
        """Say it, with the count as it may be told."""
        many = f"fewer than {smallest}" if count is None else f"{count:,}".replace(",", "\u202f")
        kind = KINDS[self.cast]
        if self.events:
            return f"{self.field} is not {kind} in {many} of the latest {self.events}: there it counts as missing"
        return f"{self.field} is not {kind} for {many} {'person' if count == 1 else 'people'}: it counts as missing"


def count_unreadable(*, trial: Trial) -> list[Unreadable]:
    """Return what a definition could not read and how often, in one statement; only what occurs.

    Raises
    ------
    PreviewTooSlow
        If it takes too long.
    """
    casts = [cast for cast in casts_of(trial.definition) if not NOT_EXAMINED.intersection(cast.names)]
    if not casts:
        return []
    groups: dict[tuple[str, ...], list[Cast]] = {}
    for cast in casts:
        groups.setdefault(cast.names, []).append(cast)
    plan = Plan(now=trial.now, setting=read_setting())
    frame = Frame(plan, "UTC")
    columns = {names: _counts(found, frame) for names, found in groups.items()}
    parts = []
    for names, counts in columns.items():
        source = f"from ({latest_sql(names, plan, EXAMINED)}) as e" if names else _people(plan)
        parts.append(f"(select array[{counts}] {source})")
    [row] = ask(with_sources(plan, f"select {', '.join(parts)}"), plan.parameters)
    return [
        Unreadable(cast.path, named_words(names) if names else "", ".".join(cast.field), cast.cast, count)
        for (names, found), counted in zip(groups.items(), row, strict=True)
        for cast, count in zip(found, counted, strict=True)
        if count
    ]


def by_path(found: Sequence[Unreadable]) -> Mapping[str, list[Unreadable]]:
    """Return what could not be read by the place of the condition."""
    placed: dict[str, list[Unreadable]] = {}
    for each in found:
        placed.setdefault(each.path, []).append(each)
    return placed


def _counts(casts: Sequence[Cast], frame: Frame) -> str:
    return ", ".join(f"count(*) filter (where {unreadable_sql(cast, frame)})" for cast in casts)


def _people(plan: Plan) -> str:
    return f"{from_sql(plan)} where not p.restricted"
