"""Tagging fields with what they may be used for, and the officer's leave to use one all the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from cdp.core.errors import FieldError, InvalidInput
from cdp.core.services.audit import record
from consent.errors import UnknownPurpose
from consent.field_models import FieldOverride, FieldTag
from consent.models import Purpose
from consent.queries.field_tags import get_field_override, get_field_tag
from consent.queries.purposes import get_purpose


@dataclass(frozen=True, slots=True)
class NewFieldTag:
    """A tag; `purposes` None lets the field serve any purpose."""

    kind: str
    name: str
    purposes: Sequence[str] | None
    sensitivity: str


@dataclass(frozen=True, slots=True)
class NewFieldOverride:
    """Leave for one user of fields (``segment:KEY``) to use one for a purpose against its tag, with the reason."""

    used_by: str
    purpose: str
    kind: str
    name: str
    reason: str


def tag_field(*, new: NewFieldTag, actor: str, now: datetime) -> tuple[FieldTag, bool]:
    """Say what a trait or type of event may serve; the same again changes nothing.

    Returns
    -------
    (FieldTag, bool)
        Whether the field had no tag before.

    Raises
    ------
    UnknownPurpose
        If one of the purposes does not exist.
    """
    purposes = sorted(set(new.purposes)) if new.purposes is not None else None
    known = set(Purpose.objects.filter(key__in=purposes or []).values_list("key", flat=True))
    for key in purposes or []:
        if key not in known:
            raise UnknownPurpose(key)
    said = {"purposes": purposes, "sensitivity": new.sensitivity}
    with transaction.atomic():
        tag, created = FieldTag.objects.select_for_update().get_or_create(
            kind=new.kind, name=new.name, defaults={**said, "changed_at": now, "changed_by": actor}
        )
        before = {"purposes": tag.purposes, "sensitivity": tag.sensitivity}
        if created or before != said:
            FieldTag.objects.filter(pk=tag.pk).update(**said, changed_at=now, changed_by=actor)
            tag.refresh_from_db()
            detail = said if created else {**said, "before": before}
            record(actor=actor, action="field.tagged", object=f"{tag.kind}:{tag.name}", detail=detail, now=now)
    return tag, created


def untag_field(*, tag_id: int, actor: str, now: datetime) -> None:
    """Take a tag away: the field serves any purpose again.

    Raises
    ------
    UnknownFieldTag
        If there is none with this id.
    """
    with transaction.atomic():
        tag = get_field_tag(tag_id=tag_id)
        before = {"purposes": tag.purposes, "sensitivity": tag.sensitivity}
        tag.delete()
        record(
            actor=actor, action="field.untagged", object=f"{tag.kind}:{tag.name}", detail={"before": before}, now=now
        )


def allow_field(*, new: NewFieldOverride, actor: str, now: datetime) -> tuple[FieldOverride, bool]:
    """Let one user of fields use one for a purpose against its tag; the officer's decision, with a reason.

    Returns
    -------
    (FieldOverride, bool)
        Whether it is new; one that stands already stays as it is.

    Raises
    ------
    UnknownPurpose
        If there is no such purpose.
    InvalidInput
        Without a reason.
    """
    reason = new.reason.strip()
    if not reason:
        message = "Say why the field may be used: the reason is kept in the audit trail."
        raise InvalidInput(message, errors=[FieldError("reason", "required", message)])
    with transaction.atomic():
        override, created = FieldOverride.objects.get_or_create(
            used_by=new.used_by,
            purpose=get_purpose(key=new.purpose),
            kind=new.kind,
            name=new.name,
            lifted_at=None,
            defaults={"reason": reason, "created_at": now, "created_by": actor},
        )
        if created:
            detail = {"purpose": new.purpose, "field": f"{new.kind}:{new.name}", "reason": reason, "leave": override.pk}
            record(actor=actor, action="field.allowed", object=new.used_by, detail=detail, now=now)
    return override, created


def lift_field_override(*, override_id: int, actor: str, now: datetime) -> FieldOverride:
    """End the leave; doing it again changes nothing. What uses the field is shown to the officer from then on.

    Raises
    ------
    UnknownFieldOverride
        If there is none with this id.
    """
    with transaction.atomic():
        override = get_field_override(override_id=override_id)
        won = FieldOverride.objects.filter(pk=override.pk, lifted_at=None).update(lifted_at=now, lifted_by=actor)
        if won:
            detail = {
                "purpose": override.purpose.key,
                "field": f"{override.kind}:{override.name}",
                "leave": override.pk,
            }
            record(actor=actor, action="field.allowed_no_more", object=override.used_by, detail=detail, now=now)
            override.refresh_from_db()
    return override
