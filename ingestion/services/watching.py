"""The watch: every few minutes it judges what came against what is usual, and lets alerts open, stay and end."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, tzinfo
from statistics import median
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from cdp.core.locks import try_take
from cdp.core.services import audit
from ingestion.alert_models import Alert, AlertCheck
from ingestion.alerting.baseline import HOUR, MAD_TO_DEVIATION, History, hour_of
from ingestion.alerting.detect import (
    BAD,
    DROP,
    MISSING,
    OUTAGE,
    REJECTED,
    SENSITIVITIES,
    SILENCE,
    SPIKE,
    Sensitivity,
    Usual,
    Verdict,
    judge_drop,
    judge_missing,
    judge_share,
    judge_silence,
    judge_spike,
    soften,
)
from ingestion.alerting.episodes import ENDED, FAST, HOURLY, OPEN, PENDING, RESOLVED, Episode, Pace, Subject, advance
from ingestion.models import Source
from ingestion.queries.alerts import subject_of
from ingestion.queries.watch import NO_FLOW, Flow, Rules, read_flows, read_rules, read_silent_events
from ingestion.queries.watch_fields import read_field_shares
from ingestion.services.announcing import announce
from ingestion.services.looking import look

# "Looks for alerts": one process at a time.
WATCH_LOCK = 0xA1_E4_75
# Two beats, or a clock that jumps, must not make two looks of one.
SHORTEST_PAUSE = timedelta(seconds=60)
# An outage is told of installations with several sources that send.
FEWEST_SOURCES = 2
SENDS = timedelta(days=7)
FEWEST_OF_HOUR = 10
# An hour's fields are judged once, when its messages have been measured (`services.measuring`, every five minutes).
FIELDS_AFTER = timedelta(minutes=10)
EPISODE = [field.name for field in fields(Episode)]


@dataclass(frozen=True, slots=True)
class Judged:
    """What one look found of one subject."""

    subject: Subject
    verdict: Verdict
    pace: Pace = FAST


@dataclass(frozen=True, slots=True)
class View:
    """Everything that one look needs to know."""

    now: datetime
    zone: tzinfo
    sources: list[Source]
    flows: dict[int, Flow]
    rules: Rules
    open: frozenset[Subject]

    def sensitivity(self, subject: Subject) -> Sensitivity | None:
        """Return how unusual something has to be, less where the alert is open already; None: it is switched off."""
        rule = self.rules.find(subject.source, subject.kind)
        if not rule.enabled:
            return None
        found = SENSITIVITIES[rule.sensitivity]
        return soften(found) if subject in self.open else found


def check_sources(*, now: datetime) -> bool:
    """Look once: note what came, judge it, let alerts open and end, tell people. False if another process just did.

    Notes
    -----
    One transaction under a lock that nobody waits for; it reads hourly counts and writes only its own rows.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            if not try_take(cursor, WATCH_LOCK):
                return False
            state, _ = AlertCheck.objects.get_or_create(pk=1)
            if state.checked_at is not None and timedelta(0) <= now - state.checked_at < SHORTEST_PAUSE:
                return False
            look(cursor, before=state.checked_at, now=now)
        known = _read_alerts(now)
        view = _view(now, known)
        judged = list(_judge(view))
        hour = hour_of(now - FIELDS_AFTER) - HOUR
        if state.fields_until is None or hour > state.fields_until:
            judged += _judge_fields(view, hour)
            state.fields_until = hour
        _advance_all(judged, known, view)
        announce(state=state, rules=view.rules, now=now)
        state.checked_at = now
        state.save()
    return True


def _view(now: datetime, known: dict[Subject, Alert]) -> View:
    return View(
        now=now,
        zone=ZoneInfo(settings.CDP_TIME_ZONE),
        sources=list(Source.objects.filter(enabled=True).order_by("pk")),
        flows=read_flows(now=now),
        rules=read_rules(),
        open=frozenset(subject for subject, alert in known.items() if alert.state == OPEN),
    )


def _judge(view: View) -> Iterator[Judged]:
    flowing = [source for source in view.sources if source.kind != Source.Kind.IMPORT]
    yield from _judge_outage(view, flowing)
    for source in view.sources:
        yield from _judge_source(view, source)
    events = read_silent_events(before=hour_of(view.now), zone=view.zone)
    watched = {source.pk for source in flowing}
    for (source_id, kind, event), (history, last_at) in events.items():
        if source_id in watched:
            subject = Subject(SILENCE, source_id, kind, event)

            def silent(how: Sensitivity, history: History = history, last_at: datetime = last_at) -> Verdict:
                return judge_silence(history, last_at=last_at, now=view.now, sensitivity=how)

            yield from _one(view, subject, silent)
    # What came again is no longer among the silent ones.
    for subject in view.open:
        if subject.kind == SILENCE and subject.is_of_event:
            key = (subject.source or 0, subject.type, subject.event)
            if key not in events:
                yield Judged(subject, Verdict("good"))


def _one(view: View, subject: Subject, judge: Callable[[Sensitivity], Verdict]) -> Iterator[Judged]:
    how = view.sensitivity(subject)
    if how is not None:
        yield Judged(subject, judge(how))


def _judge_outage(view: View, sources: list[Source]) -> Iterator[Judged]:
    """Take all sources that send as one: nothing from any of them is one alert, not many."""
    flows = [view.flows.get(source.pk, NO_FLOW) for source in sources]
    sending = [flow for flow in flows if flow.last_at is not None and view.now - flow.last_at <= SENDS]
    if len(sending) < FEWEST_SOURCES:
        return
    counts: dict[datetime, float] = {}
    looks: dict[datetime, tuple[int, int]] = {}
    for flow in sending:
        for hour, one in flow.hours.items():
            counts[hour] = counts.get(hour, 0) + one.received
        for hour, (some, news) in flow.looks.items():
            # The most steady of the sources: their sum is steadier still.
            looks[hour] = max(looks.get(hour, (0, 0)), (some, news), key=lambda pair: pair[1])
    first = min((flow.first for flow in sending if flow.first is not None), default=None)
    last_at = max(flow.last_at for flow in sending if flow.last_at is not None)
    whole = History(counts, first, view.zone, looks)
    yield from _one(
        view,
        Subject(OUTAGE),
        lambda how: judge_silence(whole, last_at=last_at, now=view.now, sensitivity=how),
    )


def _judge_source(view: View, source: Source) -> Iterator[Judged]:
    flow = view.flows.get(source.pk, NO_FLOW)
    history = flow.history(view.zone)
    this, last = hour_of(view.now), hour_of(view.now) - HOUR
    stated = source.expected_every_minutes

    def count(hour: datetime) -> int:
        return flow.hours[hour].received if hour in flow.hours else 0

    # Files come when somebody brings them: only what somebody stated is expected.
    comes_by_itself = source.kind != Source.Kind.IMPORT
    if comes_by_itself or stated is not None:
        yield from _one(
            view,
            Subject(SILENCE, source.pk),
            lambda how: judge_silence(
                history, last_at=flow.last_at, now=view.now, sensitivity=how, stated_minutes=stated
            ),
        )
    if comes_by_itself:
        yield from _one(
            view,
            Subject(SPIKE, source.pk),
            lambda how: _worse(
                judge_spike(history, hour=this, count=count(this), sensitivity=how),
                judge_spike(history, hour=last, count=count(last), sensitivity=how),
            ),
        )
        yield from _one(
            view,
            Subject(DROP, source.pk),
            lambda how: judge_drop(history, hour=last, count=count(last), sensitivity=how),
        )
    yield from _one(view, Subject(REJECTED, source.pk), lambda how: _judge_refused(flow, this, how))


def _judge_fields(view: View, hour: datetime) -> Iterator[Judged]:
    """Judge how often each field was missing in an hour that is over."""
    watched = {source.pk for source in view.sources}
    for share in read_field_shares(hour=hour):
        if share.source_id not in watched:
            continue
        subject = Subject(MISSING, share.source_id, share.type, share.event, share.field)
        how = view.sensitivity(subject)
        if how is not None:
            verdict = judge_missing(share.present, share.looked, usual=share.usual, sensitivity=how)
            yield Judged(subject, verdict, HOURLY)


def _worse(a: Verdict, b: Verdict) -> Verdict:
    return a if a.level == BAD or b.level != BAD else b


def _judge_refused(flow: Flow, this: datetime, how: Sensitivity) -> Verdict:
    """Judge the hour that goes on if it has enough messages, else the one before."""
    shares = [
        one.refused / one.received for hour, one in flow.hours.items() if hour < this and one.received >= FEWEST_OF_HOUR
    ]
    usual = Usual(*_middle(shares), len(shares)) if shares else None
    found = Verdict("unclear")
    for hour in (this, this - HOUR):
        one = flow.hours.get(hour)
        if one is not None and found.level == "unclear":
            found = judge_share(one.refused, one.received, usual=usual, sensitivity=how)
    return found


def _middle(values: list[float]) -> tuple[float, float]:
    middle = median(values)
    return middle, MAD_TO_DEVIATION * median(abs(value - middle) for value in values)


# --- Alerts ----------------------------------------------------------------------------------------------------------


def _read_alerts(now: datetime) -> dict[Subject, Alert]:
    """Return the alerts that live, and those that ended a short while ago and may go on."""
    rows = Alert.objects.filter(Q(state__in=[PENDING, OPEN]) | Q(state=RESOLVED, resolved_at__gte=now - FAST.again))
    # A living one comes after the ended ones of its subject.
    return {subject_of(alert): alert for alert in rows.order_by("pk")}


def _advance_all(judged: list[Judged], known: dict[Subject, Alert], view: View) -> None:
    made: list[Alert] = []
    changed: list[Alert] = []
    dropped: list[int] = []
    acts: list[tuple[Alert, str]] = []
    for one in [*judged, *_switched_off(judged, known, view)]:
        alert = known.get(one.subject)
        before = Episode(**{name: getattr(alert, name) for name in EPISODE}) if alert is not None else None
        after, change = advance(before, one.verdict.level, now=view.now, pace=one.pace)
        if after is None:
            if alert is not None and alert.state == PENDING:
                dropped.append(alert.pk)
            continue
        if alert is None or (before is not None and before.state == RESOLVED and after.since != before.since):
            alert = Alert(
                source_id=one.subject.source,
                **{name: getattr(one.subject, name) for name in ("kind", "type", "event", "field")},
                observed=one.verdict.observed,
                expected=one.verdict.expected,
                basis=one.verdict.basis,
            )
            made.append(alert)
        elif after != before:
            changed.append(alert)
        for name in EPISODE:
            setattr(alert, name, getattr(after, name))
        if one.verdict.level == BAD:
            alert.observed, alert.expected, alert.basis = (
                one.verdict.observed,
                one.verdict.expected,
                one.verdict.basis,
            )
        if change is not None:
            acts.append((alert, change))
            if change != ENDED:
                # Whoever saw it before has not seen that it is back.
                alert.acknowledged_at, alert.acknowledged_by, alert.reason = None, "", ""
    Alert.objects.filter(pk__in=dropped).delete()
    Alert.objects.bulk_create(made)
    Alert.objects.bulk_update(
        changed,
        [*EPISODE, "observed", "expected", "basis", "acknowledged_at", "acknowledged_by", "reason"],
    )
    audit.record_all(
        [
            audit.Act("system", f"alert.{change}", f"alert:{alert.pk}", {"kind": alert.kind, "source": alert.source_id})
            for alert, change in acts
        ],
        now=view.now,
    )


def _switched_off(judged: Iterable[Judged], known: dict[Subject, Alert], view: View) -> Iterator[Judged]:
    """Yield what lives and is not watched any more, as good: its rule or its source was switched off."""
    seen = {one.subject for one in judged}
    sources = {source.pk for source in view.sources}
    for subject, alert in known.items():
        if subject in seen or alert.state == RESOLVED:
            continue
        off = subject.source is not None and subject.source not in sources
        if off or not view.rules.find(subject.source, subject.kind).enabled:
            yield Judged(subject, Verdict("good"), Pace(timedelta(0), timedelta(0)))
        elif subject.kind == OUTAGE or subject.is_of_event:
            # Nothing can be said of it at this look.
            yield Judged(subject, Verdict("unclear"))
