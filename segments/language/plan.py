"""How definitions become SQL: every kind of condition adds sources (one row per profile) and tests over them.

The statement is laid out as named CTEs, one per source, joined to the profiles; each leaf of the definition becomes
one boolean expression over the joined columns. Values are always parameters.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from segments.language.durations import Duration
from segments.language.person import INSTALLATION_ZONE, PROFILE_ZONE, ZONE_TRAIT, Segment
from segments.language.zones import TICK, zone, zone_names

PROFILES_PARAMETER = "profile_ids"
TICK_SQL = f"interval '{TICK.microseconds} microsecond'"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A condition as SQL.

    Attributes
    ----------
    test : str
        Boolean expression over the joined sources; null counts as false.
    next_at : str or None
        Expression for the next instant after `now` at which the test could change by itself; null means never.
    """

    test: str
    next_at: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Tests joined by `all`, `any` or `not` (one child)."""

    kind: str
    children: tuple["Test", ...]


Test = Leaf | Group


def negated(test: Test) -> Group:
    """Return the complement of a test."""
    return Group("not", (test,))


@dataclass(slots=True)
class Rows:
    """The rows that an expression is about: how to reach the profile's id, traits and zone from them."""

    profile_id: str
    traits: str
    uses_traits: bool = False
    uses_zone: bool = False

    def joins(self) -> str:
        """Return the joins that the expressions made so far need."""
        text = ""
        if self.uses_traits:
            text += f"\n    join profiles_profile t on t.id = {self.profile_id}"
        if self.uses_zone:
            text += f"\n    join person_zone z on z.profile_id = {self.profile_id}"
        return text

    def traits_sql(self) -> str:
        """Return the traits of the profile, noting that they are needed."""
        self.uses_traits = True
        return self.traits


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for every definition of an installation.

    Attributes
    ----------
    zone : str
        IANA name of the installation's time zone.
    computed : mapping
        Names of computed traits that are defined in the installation, each with its default.
    """

    zone: str = "UTC"
    computed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Plan:
    """What a statement is made of while it is put together.

    Attributes
    ----------
    now : datetime
        The instant of the run.
    some : bool
        Whether the statement is restricted to the parameter `profile_ids`.
    timed : bool
        Whether next moments are asked for.
    """

    now: datetime
    setting: Setting = field(default_factory=Setting)
    some: bool = False
    timed: bool = False
    inline: Mapping[str, Segment] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, Callable[[], str]] = field(default_factory=dict)
    source_names: dict[tuple[Any, ...], str] = field(default_factory=dict)
    scans: list[Any] = field(default_factory=list)
    zone_columns: list[tuple[str, str]] = field(default_factory=list)
    main: Rows = field(default_factory=lambda: Rows("p.id", "p.traits"))

    def bind(self, value: Any, hint: str = "value") -> str:
        """Add a parameter and return its placeholder; equal values under the same name are added once."""
        stem = re.sub(r"[^a-z0-9]+", "_", hint.lower()).strip("_")[:24] or "value"
        number = 0
        while True:
            number += 1
            name = stem if number == 1 else f"{stem}_{number}"
            if name not in self.parameters:
                self.parameters[name] = value
                return f"%({name})s"
            if self.parameters[name] == value and type(self.parameters[name]) is type(value):
                return f"%({name})s"

    def now_sql(self) -> str:
        """Return the placeholder of `now`."""
        return self.bind(self.now, "now")

    def source(self, identity: tuple[Any, ...], hint: str, render: Callable[[], str]) -> str:
        """Add a source of one row per profile, or find it if it is there, and return its name.

        Parameters
        ----------
        identity : tuple
            What makes two sources the same.
        hint : str
            What the name should say.
        render : callable
            Returns the SELECT when the whole definition is known.
        """
        if identity in self.source_names:
            return self.source_names[identity]
        stem = re.sub(r"[^a-z0-9]+", "_", hint.lower()).strip("_")[:40] or "source"
        name, number = stem, 1
        while name in self.sources:
            number += 1
            name = f"{stem}_{number}"
        self.sources[name] = render
        self.source_names[identity] = name
        return name

    def only(self, column: str) -> str:
        """Return the restriction to the asked profiles, as a further condition."""
        return f" and {column} = any(%({PROFILES_PARAMETER})s)" if self.some else ""


@dataclass(frozen=True, slots=True)
class Frame:
    """A plan seen from one definition: the same plan, that definition's time zone."""

    plan: Plan
    timezone: str

    def of(self, segment: Segment) -> "Frame":
        """Return the frame of a definition that this one refers to."""
        return Frame(self.plan, segment.timezone)

    def zones(self) -> Sequence[ZoneInfo]:
        """Return the zones that can apply: one, or all where each profile has its own."""
        if self.timezone == PROFILE_ZONE:
            return [zone(name) for name in zone_names()]
        return [zone(self.plan.setting.zone if self.timezone == INSTALLATION_ZONE else self.timezone)]

    def per_zone(self, rows: Rows, value: Callable[[ZoneInfo], Any], kind: str, hint: str) -> str:
        """Return an expression for a value that depends on the time zone.

        Parameters
        ----------
        rows : Rows
            The rows that the expression is about.
        value : callable
            Gives the value for a zone.
        kind : str
            Its SQL type.
        """
        zones = self.zones()
        if self.timezone != PROFILE_ZONE:
            return self.plan.bind(value(zones[0]), hint)
        rows.uses_zone = True
        placeholder = self.plan.bind([value(each) for each in zones], f"{hint}_by_zone")
        column = (placeholder, kind)
        if column not in self.plan.zone_columns:
            self.plan.zone_columns.append(column)
        return f"z.c{self.plan.zone_columns.index(column) + 1}"

    def zone_sql(self, rows: Rows) -> str:
        """Return the name of the time zone as an expression."""
        return self.per_zone(rows, lambda tz: tz.key, "text", "zone")

    def shifted(self, rows: Rows, instant: str, duration: Duration) -> str:
        """Return an instant moved later by a duration, as an expression."""
        moved = instant
        if duration.has_calendar:
            name = self.zone_sql(rows)
            calendar = f"make_interval(months => {duration.months}, days => {duration.days})"
            moved = f"((({instant} at time zone {name}) + {calendar}) at time zone {name})"
        return f"({moved} + {self.plan.bind(duration.exact, 'within')})" if duration.exact else moved


def person_zone_sql(plan: Plan) -> str:
    """Return the sources `zones` and `person_zone`: what depends on the zone, for each profile.

    A zone that this PostgreSQL does not know is left out, so that its name never reaches `AT TIME ZONE`.
    """
    names = plan.bind(list(zone_names()), "zone_names")
    arrays = "".join(f", {placeholder}::{kind}[]" for placeholder, kind in plan.zone_columns)
    columns = [f"c{index + 1}" for index in range(len(plan.zone_columns))]
    chosen = ", ".join(f"coalesce(own.{column}, fallback.{column}) as {column}" for column in columns)
    return f"""zones as materialized (
    select u.* from unnest({names}::text[]{arrays}) as u(name, {", ".join(columns)})
    join pg_timezone_names known on known.name = u.name
),
person_zone as (
    select p.id as profile_id, {chosen}
    from profiles_profile p
    join zones fallback on fallback.name = {plan.bind(plan.setting.zone, "installation_zone")}
    left join zones own on own.name = p.traits ->> '{ZONE_TRAIT}'
    where true{plan.only("p.id")}
)"""
