"""One message, step by step: as received, transformed, checked by the plan, read, consent, identity, segments.

The steps that need no look-up run again on the message as it was received, with the rules of now; what was decided by
look-ups is read from what was written. So a strip also tells what a replay would change.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson

from cdp.core.access import Principal
from ingestion.models import Held, Message, Outcome, Quarantined, Source
from ingestion.queries.archived import Raw, find_raw
from ingestion.queries.presenting import show_difference, show_fact, show_item
from ingestion.queries.traffic import EventOf, find_event_of
from ingestion.services.process import load_rules
from ingestion.services.treating import find_treatment, read_treated
from ingestion.spec.differences import Difference, find_differences
from ingestion.spec.item import read_item
from ingestion.spec.message import Fault
from ingestion.spec.message import Message as ReadMessage
from ingestion.spec.split import Batch
from ingestion.treatment.plans import ALLOW, DROP, Finding
from ingestion.treatment.treatment import (
    FIELDS_DROPPED,
    FILTERED,
    PLAN_VIOLATION,
    UNPLANNED_EVENT,
    UNUSABLE,
    VIOLATES_PLAN,
    Treated,
    Treatment,
)
from profiles.models import ChangeKind
from profiles.queries.profiles import list_profiles
from profiles.queries.timeline import list_changes, list_merges, list_refusals

PASSED, STOPPED, UNKNOWN, SKIPPED = "passed", "stopped", "unknown", "skipped"
# Segments follow within a second; what a person entered later had other causes as well.
FOLLOWED = timedelta(seconds=60)
SHOWN = 20
# Reasons and warnings by the step that gives them.
BY_PLAN = frozenset({PLAN_VIOLATION, UNPLANNED_EVENT})
BY_TRANSFORMATIONS = frozenset({FILTERED, UNUSABLE})
PLAN_WARNINGS = frozenset({VIOLATES_PLAN, FIELDS_DROPPED})
CLEANING = "clean_"
NOT_SO_FAR = "It does not come this far."
NO_NORMAL_FORM = "No normal form"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it made of the message, in words; the message after it; and where that differs from before.

    `state` is passed, stopped, skipped or unknown. `facts` are names and values, personal where `is_personal`.
    """

    key: str
    title: str
    state: str
    sentence: str
    value: Any = None
    differences: list[Difference] = field(default_factory=list)
    facts: list[tuple[str, Any]] = field(default_factory=list)
    is_personal: bool = False


@dataclass(slots=True)
class Trail:
    """What is known of a message while its steps are put together."""

    row: Message
    source: Source
    raw: Raw | None
    event: EventOf | None
    treatment: Treatment | None
    aside: Quarantined | None
    before: Any = None
    fault: Fault | None = None
    read: ReadMessage | None = None
    treated: Treated | None = None

    @property
    def code(self) -> str:
        """Why it is not accepted: by the rules of now where it can be read again, else as it was decided."""
        if self.raw is not None:
            return self.fault.code if self.fault is not None else ""
        return self.row.reason

    @property
    def found(self) -> list[Finding]:
        """Return what plan and cleaning say about it now."""
        return self.treated.findings if self.treated is not None else []


@dataclass(frozen=True, slots=True)
class Strip:
    """A message with its steps; `raw` is what to send again, None where it is not kept."""

    raw: Raw | None
    event: EventOf | None
    aside: Quarantined | None
    steps: list[Step]


def follow_message(*, row: Message, source: Source) -> Strip:
    """Return the steps of a message."""
    aside = Quarantined.objects.filter(pk=row.pk).first()
    raw = _raw_of(row, aside)
    trail = Trail(row, source, raw, find_event_of(message=row), find_treatment(source), aside)
    if raw is not None:
        trail.before = raw.item
        _read(trail, raw)
    return Strip(raw, trail.event, aside, [step(trail) for step in STEPS])


def show_step(principal: Principal, step: Step) -> dict[str, Any]:
    """Return a step as a caller may see it."""
    return {
        "key": step.key,
        "title": step.title,
        "state": step.state,
        "sentence": step.sentence,
        "facts": [show_fact(principal, name, value, is_personal=step.is_personal) for name, value in step.facts],
        "differences": [show_difference(principal, one) for one in step.differences],
        "value": None if step.value is None else show_item(principal, step.value),
    }


def _raw_of(row: Message, aside: Quarantined | None) -> Raw | None:
    if aside is None:
        return find_raw(message=row) if row.outcome == Outcome.ACCEPTED else None
    try:
        item = orjson.loads(bytes(aside.payload))
    except orjson.JSONDecodeError:
        return None
    if not isinstance(item, dict):
        return None
    return Raw(row.pk, item, Batch("", [item]), row.source_id, "batch", row.received_at, 1)


def _read(trail: Trail, raw: Raw) -> None:
    """Run the steps that need no look-up."""
    rules = load_rules()
    options: dict[str, Any] = {
        "batch": raw.batch,
        "received_at": raw.received_at,
        "max_event_bytes": trail.source.max_event_bytes,
        "rules": rules.by_kind.get(trail.source.kind, rules.reading),
        "new_id": lambda: "",
    }
    item = copy.deepcopy(raw.item)
    treatment = trail.treatment
    if treatment is None:
        found = read_item(item, **options)
    else:
        trail.treated = Treated(treatment, raw.batch.context)
        found = read_treated(item, treatment, **options, treated=trail.treated)
    if isinstance(found, Fault):
        trail.fault = found
    elif trail.treated is not None and trail.treated.action != ALLOW:
        trail.fault = Fault(*trail.treated.reason(), found.message_id)
    else:
        trail.read = found


def _received(trail: Trail) -> Step:
    title = "As received"
    if trail.raw is None:
        return Step("raw", title, UNKNOWN, _why_not_kept(trail.row))
    others = trail.raw.items - 1
    beside = f", with {others} other{'' if others == 1 else 's'} that were accepted" if others else ""
    return Step(
        "raw",
        title,
        PASSED,
        f"It came to /v1/{trail.raw.endpoint}{beside}." if trail.aside is None else "It is kept in the quarantine.",
        value=trail.raw.item,
        facts=[(f"Shared by the request: {name}", value) for name, value in _shared(trail.raw.batch)],
        is_personal=True,
    )


def _shared(batch: Batch) -> list[tuple[str, Any]]:
    shared = [
        ("context", batch.context),
        ("integrations", batch.integrations),
        ("sentAt", batch.sent_at.isoformat() if batch.sent_at is not None else None),
    ]
    return [(name, value) for name, value in shared if value]


def _why_not_kept(row: Message) -> str:
    if row.outcome == Outcome.ACCEPTED:
        return "It is not kept any more (CDP_ARCHIVE_DAYS); what follows is read from what was stored."
    if row.outcome == Outcome.HELD:
        return "It is kept encrypted until the person decides, and read by nobody before."
    if row.outcome == Outcome.SUPPRESSED:
        return "Of a suppressed message nothing is kept."
    return "Of a rejected message only the reason is kept: its sender was told at once."


def _transformed(trail: Trail) -> Step:
    key, title = "transformations", "Transformations"
    version = trail.source.transformations_version
    if trail.code == UNUSABLE:
        told = trail.fault.message if trail.fault is not None else "What this source does could not be used then."
        return Step(key, title, STOPPED, told)
    if trail.raw is None and trail.code == FILTERED:
        return Step(key, title, STOPPED, "A transformation filtered it out.")
    if trail.treatment is None or trail.treatment.transformations is None:
        return Step(key, title, SKIPPED, "This source has no transformations.")
    if trail.raw is None:
        return Step(key, title, UNKNOWN, f"The source has transformations, now in version {version}.")
    item = copy.deepcopy(trail.raw.item)
    passes = trail.treatment.transformations.run(item, trail.raw.batch.endpoint_type)
    found = list(find_differences(trail.before, item))
    trail.before = item
    if not passes:
        return Step(key, title, STOPPED, f"Version {version} filters it out.", value=item, differences=found)
    sentence = f"Version {version} changes nothing." if not found else f"Version {version}:"
    return Step(key, title, PASSED, sentence, value=item, differences=found, is_personal=True)


def _checked(trail: Trail) -> Step:
    key, title = "plan", "Tracking plan"
    version = trail.source.plan_version
    if trail.code in BY_PLAN:
        told = trail.fault.message if trail.fault is not None else f"It was stopped: {trail.code.replace('_', ' ')}."
        return Step(key, title, STOPPED, told, facts=_findings_of_plan(trail))
    if trail.code in BY_TRANSFORMATIONS:
        return Step(key, title, SKIPPED, NOT_SO_FAR)
    if trail.treatment is None or trail.treatment.plan is None:
        return Step(key, title, SKIPPED, "This source has no tracking plan.")
    if trail.raw is None:
        told_then = _named(trail.row.warnings or [], of_plan=True)
        if told_then:
            return Step(key, title, PASSED, "The plan of then noted:", facts=told_then)
        return Step(key, title, UNKNOWN, f"The source has a plan, now in version {version}.")
    if trail.treated is None or not trail.treated.kind:
        return Step(key, title, SKIPPED, "It was not asked: the message cannot be read.")
    facts = _findings_of_plan(trail)
    sentence = f"Version {version} notes:" if facts else f"Version {version} has nothing against it."
    dropped = _dropped(trail)
    differences = [one for one in _changed(trail) if one.path in dropped]
    return Step(key, title, PASSED, sentence, facts=facts, differences=differences)


def _findings_of_plan(trail: Trail) -> list[tuple[str, Any]]:
    """Return what the plan found: places and rules, no values."""
    done = {ALLOW: "Counted", DROP: "Dropped"}
    return [
        (done.get(one.action, "Stopped by"), f"{one.path or 'the event'}: {one.rule.replace('_', ' ')}")
        for one in trail.found
        if not one.rule.startswith(CLEANING)
    ]


def _dropped(trail: Trail) -> set[str]:
    return {one.path for one in trail.found if one.action == DROP and not one.rule.startswith(CLEANING)}


def _cleaned(trail: Trail) -> Step:
    key, title = "read", "Read and cleaned"
    if trail.code in BY_PLAN | BY_TRANSFORMATIONS:
        return Step(key, title, SKIPPED, NOT_SO_FAR)
    if trail.fault is not None:
        return Step(key, title, STOPPED, trail.fault.message, facts=[("Fault", trail.fault.code)])
    if trail.read is None or trail.raw is None:
        said = _named(trail.row.warnings or [], of_plan=False)
        return Step(key, title, UNKNOWN if not trail.event else PASSED, trail.row.reason.replace("_", " "), facts=said)
    read = trail.read
    dropped = _dropped(trail)
    found = [one for one in _changed(trail) if one.path not in dropped]
    facts: list[tuple[str, Any]] = [("Type", read.type), ("Name", read.name)] if read.name else [("Type", read.type)]
    facts += [(f"Identifier {kind}", value) for kind, value, _ in read.identifiers]
    facts += [
        (NO_NORMAL_FORM, f"{one.path}: {one.rule.removeprefix(CLEANING)}" + (", dropped" if one.action == DROP else ""))
        for one in trail.found
        if one.rule.startswith(CLEANING)
    ]
    facts += _named(read.warnings, of_plan=False)
    return Step(key, title, PASSED, "", value=_parts(read), differences=found, facts=facts, is_personal=True)


def _parts(read: ReadMessage) -> dict[str, Any]:
    return {
        "properties": read.properties,
        "traits": read.traits or {},
        "context": read.context,
        "timestamp": read.occurred_at.isoformat(),
    }


def _changed(trail: Trail) -> list[Difference]:
    """Return where the message as read differs from what the transformations gave."""
    if trail.read is None:
        return []
    given = trail.before if isinstance(trail.before, dict) else {}
    before = {name: given.get(name) or {} for name in ("properties", "traits", "context")}
    before["timestamp"] = trail.read.original_timestamp or ""
    return list(find_differences(before, _parts(trail.read)))


def _named(warnings: list[str], *, of_plan: bool) -> list[tuple[str, Any]]:
    """Return the warnings of the plan, or all others."""
    return [("Warning", warning.replace("_", " ")) for warning in warnings if (warning in PLAN_WARNINGS) is of_plan]


def _consented(trail: Trail) -> Step:
    key, title = "consent", "Consent and suppression"
    purpose = trail.source.required_purpose
    outcome = trail.row.outcome
    if outcome == Outcome.SUPPRESSED:
        because = {
            "consent": f"The person refused {purpose}, or did not decide in time.",
            "erased": "The person was erased.",
        }.get(trail.row.reason, "Its strongest identifier is suppressed.")
        return Step(key, title, STOPPED, because)
    if outcome == Outcome.HELD:
        held = Held.objects.filter(pk=trail.row.pk).first()
        until = f", at the longest until {held.until:%Y-%m-%d %H:%M} UTC" if held is not None else ""
        return Step(key, title, STOPPED, f"It waits for the person's decision on {purpose}{until}.")
    if outcome != Outcome.ACCEPTED:
        return Step(key, title, SKIPPED, "It did not come this far.")
    sentence = (
        f"The person had granted {purpose}."
        if purpose
        else "This source stores without a purpose; nothing suppresses it."
    )
    facts: list[tuple[str, Any]] = []
    if trail.read is not None and trail.read.context.get("consent"):
        facts.append(("It carries consent", trail.read.context["consent"]))
    return Step(key, title, PASSED, sentence, facts=facts)


def _identified(trail: Trail) -> Step:
    key, title = "identity", "Identity"
    if trail.event is None:
        return Step(key, title, SKIPPED, "It belongs to nobody.")
    uuid = trail.event.profile_uuid
    message_id = trail.event.message_id
    merges = list_merges(profile_uuid=uuid).filter(message_id=message_id).order_by("id")[:SHOWN]
    refusals = list_refusals(profile_uuid=uuid).filter(message_id=message_id).order_by("id")[:SHOWN]
    facts: list[tuple[str, Any]] = [("Profile", uuid)]
    facts += [("It joined", f"{one.absorbed_uuid} into {one.survivor_uuid}") for one in merges]
    facts += [(f"It left out a {one.identifier_type}", one.reason) for one in refusals]
    sentence = "It was stored on the profile of its strongest identifier."
    return Step(key, title, PASSED, sentence, facts=facts)


def _followed(trail: Trail) -> Step:
    key, title = "segments", "Segments"
    if trail.event is None:
        return Step(key, title, SKIPPED, "It changes no membership.")
    at = trail.row.processed_at
    ids = list_profiles().filter(uuid=trail.event.profile_uuid).values_list("pk", flat=True)
    kinds = {ChangeKind.ENTERED: "Entered", ChangeKind.LEFT: "Left"}
    changes = (
        list_changes(profile_ids=list(ids))
        .filter(kind__in=list(kinds), at__gte=at, at__lt=at + FOLLOWED)
        .order_by("at", "id")[:SHOWN]
    )
    facts = [(kinds[ChangeKind(one.kind)], str(one.detail.get("segment", ""))) for one in changes]
    sentence = (
        "Within a minute after it, the profile:"
        if facts
        else "Within a minute after it, the profile entered and left none."
    )
    return Step(key, title, PASSED, sentence, facts=facts)


STEPS: list[Callable[[Trail], Step]] = [
    _received,
    _transformed,
    _checked,
    _cleaned,
    _consented,
    _identified,
    _followed,
]
