"""What the reference evaluation looks at: one person with their history, and the moment of the evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from segments.language.zones import is_zone, zone

if TYPE_CHECKING:
    from segments.language.nodes import Node

PROFILE_ZONE = "profile"
INSTALLATION_ZONE = "installation"
ZONE_TRAIT = "timezone"


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event, or one derived from them (`$order`, `$session`). `name` is empty for identify, group and alias.

    `source` is the key of the source that sent it; only sessions ask for it. `traits` are those of an identify call.
    """

    id: int
    name: str
    occurred_at: datetime
    properties: Mapping[str, Any] | None = None
    context: Mapping[str, Any] | None = None
    derived: bool = False
    source: str = ""
    traits: Mapping[str, Any] | None = None

    @property
    def order(self) -> tuple[datetime, int]:
        """The place on the timeline: ties are ordered by id (rule 5)."""
        return self.occurred_at, self.id


@dataclass(frozen=True, slots=True)
class Consent:
    """The greatest decision of one cell (purpose, channel); channel '' stands for all channels."""

    purpose: str
    channel: str
    state: str
    effective_at: datetime
    recorded_at: datetime
    decision_id: int
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class HeldIdentifier:
    """An identifier of the person."""

    type: str
    value: str
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry into a segment, or an exit."""

    segment: str
    entered: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Scores:
    """Recency, frequency and revenue in fifths of all who ordered, 5 the best (`rfm`)."""

    r: int
    f: int
    m: int


@dataclass(frozen=True, slots=True)
class Person:
    """A profile with everything that a definition can ask about.

    Attributes
    ----------
    segments : mapping
        Keys of the segments that the person is in, with the time since when.
    computed : mapping
        Computed traits that are defined in the installation, with the person's values; they hide sent ones.
    scores : Scores or None
        The person's place among all who ordered, as it is at the moment of the evaluation; None without an order.
    """

    uuid: str
    traits: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    consents: tuple[Consent, ...] = ()
    identifiers: tuple[HeldIdentifier, ...] = ()
    segments: Mapping[str, datetime] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    lists: frozenset[str] = frozenset()
    scores: Scores | None = None
    computed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Segment:
    """A parsed definition."""

    timezone: str
    match: "Node"


@dataclass(frozen=True, slots=True)
class Moment:
    """When, and in which time zone, a definition is evaluated.

    Attributes
    ----------
    now : datetime
        The frozen instant of the run; events at or after it do not exist.
    timezone : str
        The definition's: `installation`, `profile` or an IANA name.
    installation_zone : str
        IANA name of the installation's zone.
    inline : mapping
        Segments that references are evaluated from, instead of from stored membership.
    """

    now: datetime
    timezone: str = "UTC"
    installation_zone: str = "UTC"
    inline: Mapping[str, Segment] = field(default_factory=dict)

    def zone_for(self, person: Person) -> ZoneInfo:
        """Return the zone in which the person's days are counted."""
        if self.timezone == PROFILE_ZONE:
            named = person.traits.get(ZONE_TRAIT)
            return zone(named if isinstance(named, str) and is_zone(named) else self.installation_zone)
        return zone(self.installation_zone if self.timezone == INSTALLATION_ZONE else self.timezone)

    def of(self, segment: Segment) -> "Moment":
        """Return the same moment in the time zone of another definition."""
        return Moment(self.now, segment.timezone, self.installation_zone, self.inline)
