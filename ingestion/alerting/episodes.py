"""Alerts over time: what is unusual at a look waits for the next one, opens, stays, and ends once it has been calm."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ingestion.alerting.detect import BAD, DROP, GOOD, MISSING, OUTAGE, REJECTED, SILENCE, SPIKE

PENDING, OPEN, RESOLVED = "pending", "open", "resolved"
OPENED, REOPENED, ENDED = "opened", "reopened", "ended"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long something is looked at before it counts.

    Attributes
    ----------
    confirm : timedelta
        Bad for this long before it opens.
    calm : timedelta
        Good for this long before it ends.
    again : timedelta
        Bad again within this time after the end: the same alert goes on.
    forget : timedelta
        Nothing could be said for this long: it ends.
    """

    confirm: timedelta
    calm: timedelta
    again: timedelta = timedelta(hours=2)
    forget: timedelta = timedelta(hours=24)


# Looked at every few minutes, and once an hour.
FAST = Pace(confirm=timedelta(minutes=4), calm=timedelta(minutes=14))
HOURLY = Pace(confirm=timedelta(0), calm=timedelta(minutes=50))


@dataclass(frozen=True, slots=True)
class Episode:
    """One alert, from the first bad look to its end."""

    state: str
    since: datetime
    last_bad_at: datetime
    last_said_at: datetime
    opened_at: datetime | None = None
    calm_since: datetime | None = None
    resolved_at: datetime | None = None


def advance(episode: Episode | None, level: str, *, now: datetime, pace: Pace) -> tuple[Episode | None, str | None]:
    """Return the episode after one look, and what changed: ``opened``, ``reopened``, ``ended`` or None.

    Parameters
    ----------
    episode : Episode or None
        The last one of its subject; None: there is none, or it may be forgotten.
    level : str
        Of the verdict.
    """
    if episode is not None and episode.state == RESOLVED:
        assert episode.resolved_at is not None
        if level == BAD and now - episode.resolved_at <= pace.again:
            return replace(
                episode, state=OPEN, last_bad_at=now, last_said_at=now, calm_since=None, resolved_at=None
            ), REOPENED
        if level != BAD:
            return episode, None
        episode = None
    if episode is None:
        if level != BAD:
            return None, None
        episode = Episode(PENDING, now, now, now)
    if level == BAD:
        episode = replace(episode, last_bad_at=now, last_said_at=now, calm_since=None)
        if episode.state == PENDING and now - episode.since >= pace.confirm:
            return replace(episode, state=OPEN, opened_at=now), OPENED
        return episode, None
    if level == GOOD:
        return _calm(replace(episode, last_said_at=now), now, pace)
    if now - episode.last_said_at >= pace.forget:
        return (None, None) if episode.state == PENDING else _end(episode, now)
    return episode, None


def _calm(episode: Episode, now: datetime, pace: Pace) -> tuple[Episode | None, str | None]:
    if episode.state == PENDING:
        return None, None
    episode = replace(episode, calm_since=episode.calm_since or now)
    assert episode.calm_since is not None
    return _end(episode, now) if now - episode.calm_since >= pace.calm else (episode, None)


def _end(episode: Episode, now: datetime) -> tuple[Episode, str]:
    return replace(episode, state=RESOLVED, resolved_at=now), ENDED


@dataclass(frozen=True, slots=True)
class Subject:
    """What an alert is about; `source` None: all of them. `type` and `event` ``""``: the source as a whole."""

    kind: str
    source: int | None = None
    type: str = ""
    event: str = ""
    field: str = ""

    @property
    def is_of_event(self) -> bool:
        """Tell whether it is about one kind of message."""
        return bool(self.type)


# What follows from what: whoever is told of the cause is not told of its consequences.
FOLLOWS = {SILENCE: {SILENCE, DROP, MISSING}, DROP: {SILENCE, DROP}, REJECTED: {SILENCE, DROP, MISSING}, SPIKE: {SPIKE}}


def find_cause(subject: Subject, open_subjects: Iterable[Subject]) -> Subject | None:
    """Return the open alert that explains this one; None: it stands for itself.

    An outage explains silence and drops of all sources; what a source does as a whole explains what its events do.
    """
    for other in open_subjects:
        if other == subject:
            continue
        if other.kind == OUTAGE and subject.kind in {SILENCE, DROP}:
            return other
        if (
            other.source == subject.source
            and not other.is_of_event
            and subject.is_of_event
            and subject.kind in FOLLOWS.get(other.kind, set())
        ):
            return other
    return None
