"""Destinations: set up, changed, tried, brought in line with their segment."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from cdp.core.access import Principal
from cdp.core.errors import FieldError
from cdp.core.outgoing import Line, check_url
from cdp.core.services.audit import record
from segments.models import Segment
from segments.queries.destinations import find_destination, get_destination
from segments.queries.segments import get_segment
from segments.sending.columns import Column, read_columns
from segments.sending.errors import ColumnsHidden, DestinationTaken, InvalidSending, SegmentNotLive
from segments.sending.retrying import Outcome
from segments.sending.signing import make_secret
from segments.sending.templates import PLACE, check_many, read_template
from segments.sending_models import Destination
from segments.services.sending.fitting import check_fields, check_fit
from segments.services.sending.gated import GOOD_FOR_SECONDS
from segments.services.sending.posting import Parcel, post
from segments.services.sending.recipes import known_places, open_secrets, read_recipe, seal_secrets

# Thin by default: the receiver asks for more if it needs to and may.
DEFAULT_COLUMNS = ("id",)
NOBODY = UUID("00000000-0000-4000-8000-000000000000")
MOST_SECRETS = 20
CHANGEABLE = ("name", "recipient", "people_per_request", "send_entered", "send_left", "enabled")
DAY = timedelta(days=1)

# Members of whom it was not told, and those of whom it was told that are no members.
DIFFER = """
INSERT INTO segments_deliverymark (destination_id, profile_id)
SELECT %(destination)s, coalesce(m.profile_id, a.profile_id)
FROM (SELECT profile_id FROM segments_membership WHERE segment_id = %(segment)s) m
FULL JOIN (
    SELECT profile_id, confirmed_at FROM segments_activated WHERE destination_id = %(destination)s
) a ON a.profile_id = m.profile_id
WHERE m.profile_id IS NULL OR a.confirmed_at IS NULL
"""
TOLD = """
INSERT INTO segments_deliverymark (destination_id, profile_id)
SELECT destination_id, profile_id FROM segments_activated WHERE destination_id = %s
"""
ALL = """
INSERT INTO segments_deliverymark (destination_id, profile_id, "full")
SELECT %s, profile_id, true FROM segments_membership WHERE segment_id = %s
"""
# Consents end by time alone, and no row changes then.
ENDED = """
INSERT INTO segments_deliverymark (destination_id, profile_id)
SELECT a.destination_id, a.profile_id
FROM consent_current c
JOIN consent_purpose p ON p.id = c.purpose_id AND p.key = %(purpose)s
JOIN segments_activated a ON a.profile_id = c.profile_id AND a.destination_id = %(destination)s
WHERE c.expires_at > %(since)s AND c.expires_at <= %(until)s
"""


@dataclass(frozen=True, slots=True)
class NewDestination:
    """What a destination is made of; `secrets` are what templates call ``{{secret.NAME}}``."""

    key: str
    name: str
    segment: str
    kind: str
    request: Mapping[str, Any]
    purpose: str = ""
    channel: str = ""
    recipient: str = ""
    columns: Sequence[Any] = DEFAULT_COLUMNS
    removal: Mapping[str, Any] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    people_per_request: int = 1
    send_entered: bool = True
    send_left: bool = True
    enabled: bool = True


def create_destination(*, new: NewDestination, principal: Principal, now: datetime) -> tuple[Destination, str]:
    """Set a destination up; it is told of everybody who is in the segment and may be sent.

    Returns
    -------
    (Destination, str)
        The signing secret of a webhook, shown this once; ``""`` for others.

    Raises
    ------
    DestinationTaken, NoSuchSegment, SegmentNotLive
        If it cannot be set up like this.
    PurposeDoesNotFit, FieldNotCovered, UnknownPurpose, UnknownChannel
        If it does not fit the segment, or no channel is given.
    InvalidSending, OutgoingRefused, OutgoingFailed
        If columns or templates have faults, or the URL may not be called.
    ColumnsHidden
        If it would send what its maker may not see.
    """
    segment = get_segment(key=new.segment)
    if segment.status != Segment.Status.LIVE:
        raise SegmentNotLive(segment.key)
    fit = check_fit(segment=segment, purpose=new.purpose, channel=new.channel, needs_channel=True)
    columns = read_columns(list(new.columns))
    _check_columns(columns, principal)
    check_fields(segment=segment, purpose=fit.purpose, columns=columns)
    request, removal = _read_templates(
        new.kind, new.request, new.removal, columns, list(new.secrets), many=new.people_per_request > 1
    )
    _check_addresses(request, removal)
    signing = [make_secret()] if new.kind == Destination.Kind.WEBHOOK else []
    with transaction.atomic():
        if find_destination(key=new.key) is not None:
            raise DestinationTaken(new.key)
        made = Destination.objects.create(
            key=new.key,
            name=new.name or new.key,
            recipient=new.recipient or new.name or new.key,
            segment=segment,
            kind=new.kind,
            purpose=fit.purpose,
            channel=fit.channel,
            columns=[column.as_json() for column in columns],
            request=request,
            removal=removal,
            sealed=seal_secrets(signing=signing, values=_checked_secrets(new.secrets)),
            secret_names=sorted(new.secrets),
            people_per_request=new.people_per_request,
            send_entered=new.send_entered,
            send_left=new.send_left,
            enabled=new.enabled,
            expired_until=now,
            created_at=now,
            created_by=principal.actor,
        )
        if made.enabled:
            reconcile(destination=made, now=now)
        _note(made, "created", principal.actor, now)
    return made, signing[0] if signing else ""


def change_destination(*, key: str, fields: Mapping[str, Any], principal: Principal, now: datetime) -> Destination:
    """Change what is given. Secrets are added or replaced by name; null takes one away.

    Enabling one looks at everybody anew: what happened meanwhile was not noted.
    """
    with transaction.atomic():
        held = (
            Destination.objects.select_for_update(of=("self",))
            .select_related("segment")
            .get(pk=get_destination(key=key).pk)
        )
        signing, values = open_secrets(held)
        given = {**values, **(fields.get("secrets") or {})}
        values = {name: value for name, value in given.items() if value is not None}
        columns = read_columns(fields.get("columns", held.columns))
        if {"columns", "request", "removal", "secrets"} & fields.keys():
            # A new address for values in the clear is as good as seeing them.
            _check_columns(columns, principal)
        fit = check_fit(
            segment=held.segment,
            purpose=fields.get("purpose", held.purpose),
            channel=fields.get("channel", held.channel),
            needs_channel=True,
        )
        check_fields(segment=held.segment, purpose=fit.purpose, columns=columns)
        request, removal = _read_templates(
            held.kind,
            fields.get("request", held.request),
            fields.get("removal", held.removal),
            columns,
            list(values),
            many=fields.get("people_per_request", held.people_per_request) > 1,
        )
        was_enabled = held.enabled
        for name in CHANGEABLE:
            setattr(held, name, fields.get(name, getattr(held, name)))
        held.purpose, held.channel, held.request, held.removal = fit.purpose, fit.channel, request, removal
        held.columns = [column.as_json() for column in columns]
        held.secret_names = sorted(values)
        held.sealed = seal_secrets(signing=signing, values=_checked_secrets(values))
        if held.enabled:
            held.disabled_reason, held.failures, held.retry_at = "", 0, None
        held.save()
        if held.enabled and (not was_enabled or {"purpose", "channel"} & fields.keys()):
            _run(TOLD, [held.pk])
            reconcile(destination=held, now=now)
        _note(held, "changed", principal.actor, now, changed=sorted(fields))
    return held


def rotate_secret(*, key: str, actor: str, now: datetime) -> str:
    """Make a new signing secret; messages carry the signature of the old one beside it until the next rotation."""
    with transaction.atomic():
        held = Destination.objects.select_for_update(of=("self",)).get(pk=get_destination(key=key).pk)
        if held.kind != Destination.Kind.WEBHOOK:
            message = "Only webhooks are signed."
            raise InvalidSending([FieldError("kind", "not_signed", message)])
        signing, values = open_secrets(held)
        made = make_secret()
        held.sealed = seal_secrets(signing=[made, *signing[:1]], values=values)
        held.save(update_fields=["sealed"])
        _note(held, "secret_rotated", actor, now)
    return made


def delete_destination(*, key: str, actor: str, now: datetime) -> None:
    """Delete a destination with its log; whoever it was told of stays with the receiver."""
    with transaction.atomic():
        held = get_destination(key=key)
        _note(held, "deleted", actor, now)
        held.delete()


def sync_fully(*, key: str, actor: str, now: datetime) -> int:
    """Tell a destination of every member anew, and of whoever is no longer one; return how many will be looked at."""
    with transaction.atomic():
        held = get_destination(key=key)
        count = _run(ALL, [held.pk, held.segment_id]) + reconcile(destination=held, now=now)
        _note(held, "synced", actor, now, people=count)
    return count


def reconcile(*, destination: Destination, now: datetime) -> int:
    """Mark everybody in whom the segment and what the receiver was told differ; return how many."""
    count = _run(DIFFER, {"destination": destination.pk, "segment": destination.segment_id})
    Destination.objects.filter(pk=destination.pk).update(reconciled_at=now)
    return count


def reconcile_due(*, now: datetime) -> None:
    """Mark those whose consent ended since the last look, and once a day everybody in whom something differs."""
    for destination in Destination.objects.filter(enabled=True).order_by("pk"):
        with transaction.atomic():
            span = {"since": destination.expired_until, "until": now}
            _run(ENDED, {"destination": destination.pk, "purpose": destination.purpose, **span})
            Destination.objects.filter(pk=destination.pk).update(expired_until=now)
            if destination.reconciled_at is None or destination.reconciled_at <= now - DAY:
                reconcile(destination=destination, now=now)


def try_destination(*, key: str, actor: str, now: datetime) -> Outcome:
    """Send one delivery about nobody, with the event ``test``, and return what came of it."""
    held = get_destination(key=key)
    values: dict[str, Any] = {column["name"]: "test" for column in held.columns}
    values |= {column["name"]: str(NOBODY) for column in held.columns if column["source"] == "id"}
    message_id = f"msg_{held.pk}_test_{int(now.timestamp())}"
    parcel = Parcel(0, message_id, "test", "", values, time.monotonic() + GOOD_FOR_SECONDS)
    with Line() as line:
        outcome = post(read_recipe(held), [parcel], line)
    with transaction.atomic():
        _note(held, "tried", actor, now, state=outcome.state, status=outcome.status)
    return outcome


def _check_columns(columns: Sequence[Column], principal: Principal) -> None:
    if not principal.sees_personal_data and any(column.is_open for column in columns):
        raise ColumnsHidden


def _read_templates(
    kind: str, request: Any, removal: Any, columns: Sequence[Column], secret_names: Sequence[str], *, many: bool
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    known = known_places(columns=columns, secret_names=secret_names)
    read = read_template(request, path="request", known=known)
    if kind == Destination.Kind.WEBHOOK:
        if read.body is not None or removal is not None:
            message = "A webhook says everything in its own form: give url and headers only."
            raise InvalidSending([FieldError("request.body", "webhook", message)])
        if many and any(name.startswith("person.") for name in read.places()):
            message = "With several people in a request no {{person.…}} stands in URL or headers."
            raise InvalidSending([FieldError("request.url", "not_for_many", message)])
        return read.as_json(), None
    if many:
        check_many(read, path="request")
    if removal is None:
        if "event" not in read.places():
            message = "Say how somebody is removed: by a request of its own, or by {{event}} in this one."
            raise InvalidSending([FieldError("removal", "missing", message)])
        return read.as_json(), None
    taken_off = read_template(removal, path="removal", known=known)
    if many:
        check_many(taken_off, path="removal")
    return read.as_json(), taken_off.as_json()


def _check_addresses(*templates: Any) -> None:
    """Make sure that addresses may be called as things are now; it is checked again at each delivery."""
    for template in templates:
        url = template.get("url") if isinstance(template, Mapping) else None
        if isinstance(url, str) and url:
            check_url(PLACE.sub("x", url))


def _checked_secrets(secrets: Mapping[str, str]) -> dict[str, str]:
    if len(secrets) > MOST_SECRETS:
        raise InvalidSending([FieldError("secrets", "too_many", f"At most {MOST_SECRETS} secrets.")])
    return dict(secrets)


def _run(statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


def _note(destination: Destination, done: str, actor: str, now: datetime, **more: Any) -> None:
    detail = {"segment": destination.segment.key, "purpose": destination.purpose, **more}
    record(actor=actor, action=f"destination.{done}", object=f"destination:{destination.key}", detail=detail, now=now)
