"""What is kept current: live segments and computed traits, in the order in which they depend on each other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Model, Q

from segments.language.computations import TraitDefinition
from segments.language.rfm import RANKED
from segments.models import ComputedTrait, Segment, SegmentVersion
from segments.queries.segments import LiveSegment, live_segment, parsed_trait

LIVE = Segment.Status.LIVE


@dataclass(frozen=True, slots=True)
class LiveTrait:
    """A computed trait in use, with the definition that its values follow."""

    id: int
    key: str
    version: int
    definition: TraitDefinition
    tokens: frozenset[str]

    @property
    def token(self) -> str:
        """What a change of it touches."""
        return f"trait:{self.key}"

    @property
    def is_ranked(self) -> bool:
        """Whether one person's change can move others, so that only looking at everyone keeps it current."""
        return RANKED in self.tokens


Followed = LiveSegment | LiveTrait


def live_trait(row: ComputedTrait) -> LiveTrait:
    """Return a computed trait with its parsed definition."""
    definition = parsed_trait(row.definition)
    return LiveTrait(row.pk, row.key, row.version, definition, frozenset(row.tokens))


def read_followed(*, due: Sequence[str] = ()) -> list[Followed]:
    """Return all live segments and computed traits, each after those that it depends on.

    Parameters
    ----------
    due : sequence of str
        Tokens of those that are about to be computed: by their latest definition, and also if they never were.
    """
    keys = {token.removeprefix("segment:") for token in due if token.startswith("segment:")}
    computed = Q(segment__live_version=F("version")) & ~Q(segment__key__in=keys)
    latest = Q(segment__version=F("version"), segment__key__in=keys)
    rows = SegmentVersion.objects.filter(computed | latest, segment__status=LIVE)
    found: list[Followed] = [
        live_segment(*row) for row in rows.values_list("segment_id", "segment__key", "version", "definition")
    ]
    for trait in map(live_trait, ComputedTrait.objects.filter(status=LIVE)):
        found.append(trait)
    return in_order(found)


def in_order(items: Iterable[Followed]) -> list[Followed]:
    """Order what is followed so that each comes after those that it depends on."""
    known = {item.token: item for item in items}
    ordered: dict[str, Followed] = {}

    def add(item: Followed) -> None:
        if item.token in ordered:
            return
        for token in sorted(item.tokens & known.keys()):
            # One that depends on itself is refused when it is saved.
            if token != item.token:
                add(known[token])
        ordered[item.token] = item

    for token in sorted(known):
        add(known[token])
    return list(ordered.values())


@dataclass(frozen=True, slots=True)
class Due:
    """Something in which everyone is to be looked at: because it is new, or because time has come.

    `seconds` is what that took last; None if it never was done.
    """

    token: str
    is_new: bool
    seconds: float | None


def read_due(now: datetime) -> list[Due]:
    """Return in what everyone is to be looked at now, what waits longest first."""
    found = []
    for kind, table in (("trait", ComputedTrait), ("segment", Segment)):
        rows = table.objects.filter(due_filter(now)).order_by(F("next_run_at").asc(nulls_first=True), "pk")
        for key, computed, latest, seconds in rows.values_list("key", "live_version", "version", "compute_seconds"):
            found.append(Due(f"{kind}:{key}", computed != latest, seconds or None))
    return found


def due_filter(now: datetime) -> Q:
    """Return the filter of what is to be computed as a whole: of both tables, for they name it alike."""
    new = Q(live_version__isnull=True) | ~Q(live_version=F("version"))
    return Q(status=LIVE) & (Q(next_run_at__lte=now) | new)


def table_of(item: Followed) -> type[Model]:
    """Return the table in which it is noted how current something is."""
    return Segment if isinstance(item, LiveSegment) else ComputedTrait


def latest_tokens() -> Mapping[str, frozenset[str]]:
    """Return what each segment and computed trait depends on by its latest definition, archived ones aside."""
    segments = SegmentVersion.objects.filter(version=F("segment__version"))
    segments = segments.exclude(segment__status=Segment.Status.ARCHIVED)
    traits: Any = ComputedTrait.objects.exclude(status=ComputedTrait.Status.ARCHIVED)
    return {
        **{f"segment:{key}": frozenset(tokens) for key, tokens in segments.values_list("segment__key", "tokens")},
        **{f"trait:{key}": frozenset(tokens) for key, tokens in traits.values_list("key", "tokens")},
    }


def find_circle(token: str, tokens: Iterable[str]) -> list[str] | None:
    """Return how something would come to depend on itself, or None.

    Parameters
    ----------
    token : str
        What is about to be saved: `segment:KEY` or `trait:KEY`.
    tokens : iterable of str
        What it will depend on.
    """
    known = latest_tokens()
    seen: set[str] = set()

    def search(at: str, chain: list[str]) -> list[str] | None:
        if at == token:
            return [*chain, at]
        if at in seen:
            return None
        seen.add(at)
        found = (search(below, [*chain, at]) for below in sorted(known.get(at, ())))
        return next((each for each in found if each), None)

    return next((found for each in sorted(tokens) if (found := search(each, [token]))), None)


def find_users_of(token: str) -> list[str]:
    """Return what depends on something, as keys of segments and names of computed traits."""
    return sorted(
        user.partition(":")[2] for user, tokens in latest_tokens().items() if token in tokens and user != token
    )
