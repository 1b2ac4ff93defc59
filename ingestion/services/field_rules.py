"""Rules for single fields of a source: made, changed, taken away."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from cdp.core.services import audit
from ingestion.errors import InvalidFieldRule, UnknownFieldRule
from ingestion.models import QualityRule, Source
from ingestion.services.known_values import start_learning
from ingestion.treatment.plans import PLANNED
from ingestion.treatment.shapes import MAX_NAME, safe_name

MAX_RULES = 200
MAX_ALLOWED = 1_000
MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class NewFieldRule:
    """What is asked of a field: at least one thing.

    Attributes
    ----------
    type, event, field : str
        A message type that has properties or traits; the name of a track, else ``""``; a top-level member.
    required : bool
        Every such message should have it.
    minimum, maximum : float or None
        Bounds of numbers, both included.
    allowed : sequence of str
        The values that may come; empty: any.
    known_in : Source or None
        Its values must have been seen in events of this source (it may be the same one) …
    known_type, known_event, known_field : str
        … of this type and event, in this field.
    """

    type: str
    event: str
    field: str
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: Sequence[str] = ()
    known_in: Source | None = None
    known_type: str = "track"
    known_event: str = ""
    known_field: str = ""


def save_field_rule(*, source: Source, new: NewFieldRule, actor: str, now: datetime) -> QualityRule:
    """Make the rule of a field, or put it in the place of the one that it has; what was measured stays as it is.

    With a reference, a job first looks through what was sent before; until it is done no reference is judged.

    Raises
    ------
    InvalidFieldRule
        A value is not allowed, or nothing is asked.
    """
    with transaction.atomic():
        # Whoever saves at the same moment waits here.
        Source.objects.select_for_update().get(pk=source.pk)
        rules = QualityRule.objects.filter(source=source)
        place = {"type": new.type, "event": new.event, "field": new.field}
        _check(new, has_room=rules.exclude(**place).count() < MAX_RULES)
        rules.filter(**place).delete()
        row = QualityRule.objects.create(
            source=source,
            **place,
            is_required=new.required,
            minimum=new.minimum,
            maximum=new.maximum,
            allowed=list(dict.fromkeys(text.strip() for text in new.allowed)),
            known_source=new.known_in,
            known_type=new.known_type if new.known_in else "",
            known_event=new.known_event if new.known_in else "",
            known_field=new.known_field if new.known_in else "",
            is_learned=False,
            created_at=now,
            created_by=actor,
        )
        if new.known_in is not None:
            start_learning(rule=row, now=now)
        audit.record(
            actor=actor,
            action="quality_rule.saved",
            object=f"source:{source.key}",
            detail={"rule": row.pk, "type": new.type, "event": new.event, "field": new.field},
            now=now,
        )
    return row


def delete_field_rule(*, source: Source, rule_id: int, actor: str, now: datetime) -> None:
    """Take a rule away; what was counted with it stays.

    Raises
    ------
    UnknownFieldRule
        The source has no such rule.
    """
    with transaction.atomic():
        row = QualityRule.objects.select_for_update().filter(source=source, pk=rule_id).first()
        if row is None:
            message = "The source has no such rule."
            raise UnknownFieldRule(message)
        detail = {"rule": row.pk, "type": row.type, "event": row.event, "field": row.field}
        row.delete()
        audit.record(actor=actor, action="quality_rule.deleted", object=f"source:{source.key}", detail=detail, now=now)


def _check(new: NewFieldRule, *, has_room: bool) -> None:
    faults = _place_faults("", new.type, new.event, new.field)
    if new.known_in is not None:
        faults += _place_faults("known_", new.known_type, new.known_event, new.known_field)
    bounds = [one for one in (new.minimum, new.maximum) if one is not None]
    if not all(map(math.isfinite, bounds)):
        faults.append(("minimum", "The bounds are finite numbers."))
    elif len(bounds) == 2 and bounds[0] > bounds[1]:
        faults.append(("maximum", "The greatest value is below the smallest one."))
    if len(new.allowed) > MAX_ALLOWED:
        faults.append(("allowed", f"At most {MAX_ALLOWED} values can be allowed."))
    elif any(not text.strip() or len(text) > MAX_TEXT or "\0" in text for text in new.allowed):
        faults.append(("allowed", f"An allowed value has 1 to {MAX_TEXT} characters."))
    if not (new.required or bounds or new.allowed or new.known_in is not None):
        faults.append(("required", "Ask something: that it comes, its bounds, its values, or where they come from."))
    if not has_room:
        faults.append(("field", f"A source has at most {MAX_RULES} rules. Take one away first."))
    if faults:
        raise InvalidFieldRule(faults)


def _place_faults(prefix: str, kind: str, event: str, field: str) -> list[tuple[str, str]]:
    faults = []
    if kind not in PLANNED:
        faults.append((f"{prefix}type", f"The type is one of {', '.join(PLANNED)}."))
    if kind == "track" and (not event or safe_name(event) != event):
        faults.append((f"{prefix}event", f"Give the name of a track: up to {MAX_NAME} characters, and no value."))
    if kind != "track" and event:
        faults.append((f"{prefix}event", "Only a track has an event."))
    if safe_name(field) != field:
        faults.append((f"{prefix}field", f"Give the name of a field: up to {MAX_NAME} characters, and no value."))
    return faults
