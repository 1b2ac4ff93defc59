"""Creating and changing segments: each change of a definition is a new, immutable version."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from cdp.core import locks
from cdp.core.errors import FieldError, InvalidInput
from cdp.core.services.audit import record
from consent.queries.purposes import check_channel, get_purpose
from segments.errors import CircularReference, DefinitionMissing, InvalidDefinition, KeyTaken, SegmentInUse
from segments.language.check import check
from segments.language.evaluate import depends
from segments.language.parse import parse
from segments.models import Segment, SegmentVersion
from segments.queries.cost import check_cost
from segments.queries.coverage import check_coverage
from segments.queries.following import find_circle, find_users_of
from segments.queries.segments import find_segment, get_segment, has_match, read_catalogue
from segments.services.evaluation import Clock, forget_members
from segments.services.following import compute_membership
from segments.services.interests import declare_interests

CHANGEABLE = ("name", "status", "purpose", "channel", "tags", "owner_id")
MAX_TAGS = 20
MAX_TAG = 40
LIVE, DRAFT, ARCHIVED = Segment.Status.LIVE, Segment.Status.DRAFT, Segment.Status.ARCHIVED


@dataclass(frozen=True, slots=True)
class NewSegment:
    """What a segment is made of. `definition` may lack a condition (`match` null) in a draft."""

    key: str
    name: str
    definition: Any
    status: str = DRAFT
    purpose: str = ""
    channel: str = ""
    tags: tuple[str, ...] = ()
    owner_id: int | None = None


def create_segment(*, new: NewSegment, actor: str, clock: Clock) -> tuple[Segment, bool]:
    """Create a segment; a live one has its members before this returns. The same again changes nothing.

    Parameters
    ----------
    clock : callable
        Gives the present: read again when the membership is computed.

    Returns
    -------
    (Segment, bool)
        Whether it is new.

    Raises
    ------
    InvalidDefinition
        If the definition breaks a rule of the language, or refers to what does not exist.
    FieldNotCovered
        If it uses a field that does not serve its purpose.
    TooExpensive
        If a live one would take too much work.
    KeyTaken
        If the key belongs to a segment with other properties.
    """
    now = clock()
    tokens = _checked(new.definition, status=new.status)
    _check_purpose(new.purpose, new.channel)
    tags = clean_tags(new.tags)
    with transaction.atomic(), connection.cursor() as cursor:
        # Two definitions saved at once must not refer to each other.
        locks.take(cursor, locks.SEGMENTS)
        known = find_segment(key=new.key)
        if known is not None:
            return _same_or_refuse(known, new), False
        _check_references(new.definition, key=new.key)
        check_coverage(key=new.key, definition=new.definition, tokens=tokens, purpose=new.purpose)
        if new.status == LIVE:
            check_cost(definition=new.definition, now=now)
        segment = Segment.objects.create(
            key=new.key,
            name=new.name,
            status=new.status,
            purpose=new.purpose,
            channel=new.channel,
            created_at=now,
            created_by=actor,
            owner_id=new.owner_id,
            tags=tags,
        )
        _write_version(segment, new.definition, tokens, actor=actor, now=now)
        declare_interests()
        detail = {"version": 1, "status": new.status}
        record(actor=actor, action="segment.created", object=f"segment:{new.key}", detail=detail, now=now)
    if new.status == LIVE:
        compute_membership(segment_id=segment.pk, reason="definition", clock=clock)
        segment.refresh_from_db()
    return segment, True


def change_segment(*, key: str, fields: Mapping[str, Any], actor: str, clock: Clock) -> Segment:
    """Change name, definition, status, purpose, channel, tags or owner_id; only what differs is written.

    Raises
    ------
    NoSuchSegment, InvalidDefinition, FieldNotCovered, TooExpensive
        As for `create_segment`.
    SegmentInUse
        If it would be archived while others refer to it.
    """
    now = clock()
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.SEGMENTS)
        segment = get_segment(key=key)
        before = segment.status
        latest = SegmentVersion.objects.get(segment=segment, version=segment.version)
        definition = fields.get("definition", latest.definition)
        status = fields.get("status", before)
        tokens = _checked(definition, status=status)
        _check_references(definition, key=key)
        purpose = fields.get("purpose", segment.purpose)
        _check_purpose(purpose, fields.get("channel", segment.channel))
        # What is left as it is, or put aside, need not fit tags that came later: the officer sees it in their list.
        if definition != latest.definition or purpose != segment.purpose or (status == LIVE and before != LIVE):
            check_coverage(key=key, definition=definition, tokens=tokens, purpose=purpose)
        if status == LIVE and (definition != latest.definition or before != LIVE):
            check_cost(definition=definition, now=now)
        if "tags" in fields:
            fields = {**fields, "tags": clean_tags(fields["tags"])}
        changed = [name for name in CHANGEABLE if _differs(segment, fields, name)]
        if status != LIVE and before == LIVE:
            _refuse_if_used(key)
        for name in changed:
            setattr(segment, name, fields[name])
        if definition != latest.definition:
            changed.append("definition")
            segment.version += 1
            _write_version(segment, definition, tokens, actor=actor, now=now)
        if changed:
            segment.save(update_fields=[*CHANGEABLE, "version"])
            declare_interests()
            detail = {"changed": sorted(changed), "version": segment.version, "status": segment.status}
            record(actor=actor, action="segment.changed", object=f"segment:{key}", detail=detail, now=now)
        if status != LIVE and before == LIVE:
            forget_members(segment, reason="definition", now=now)
    if status == LIVE and segment.live_version != segment.version:
        compute_membership(segment_id=segment.pk, reason="definition", clock=clock)
    segment.refresh_from_db()
    return segment


def delete_segment(*, key: str, actor: str, now: datetime) -> None:
    """Delete a segment with its versions, membership and history.

    Raises
    ------
    SegmentInUse
        If other segments refer to it.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.SEGMENTS)
        segment = get_segment(key=key)
        _refuse_if_used(key)
        segment.delete()
        declare_interests()
        record(actor=actor, action="segment.deleted", object=f"segment:{key}", now=now)


def clean_tags(given: Iterable[str]) -> list[str]:
    """Return tags in lower case, without repetition, in order.

    Raises
    ------
    InvalidInput
        If there are too many, or one is too long.
    """
    tags = list(dict.fromkeys(tag for text in given if (tag := " ".join(text.lower().split()))))
    if len(tags) > MAX_TAGS or any(len(tag) > MAX_TAG or "," in tag or "\0" in tag for tag in tags):
        message = f"A segment has at most {MAX_TAGS} tags, of at most {MAX_TAG} characters each, without commas."
        raise InvalidInput(message, errors=[FieldError("tags", "limit", message)])
    return tags


def _checked(definition: Any, *, status: str) -> list[str]:
    """Parse a definition and return its tokens; a draft may lack a condition."""
    if not has_match(definition) and isinstance(definition, Mapping) and "match" in definition:
        if status == LIVE:
            raise DefinitionMissing
        parse({**definition, "match": {"type": "everyone"}})
        return []
    return sorted(depends(parse(definition)))


def _check_references(definition: Any, *, key: str) -> None:
    if has_match(definition):
        found = parse(definition)
        check(found, read_catalogue(), key=key)
        refuse_circle(f"segment:{key}", depends(found), path="match")


def refuse_circle(token: str, tokens: Iterable[str], *, path: str) -> None:
    """Refuse what would depend on itself, through segments and computed traits.

    Raises
    ------
    CircularReference
        Naming the way back.
    """
    circle = find_circle(token, tokens)
    if circle:
        shown = " → ".join(each.partition(":")[2] for each in circle)
        message = f"this leads back to itself: {shown}"
        raise CircularReference([FieldError(path, "circular_reference", message)])


def _check_purpose(purpose: str, channel: str) -> None:
    if purpose:
        check_channel(purpose=get_purpose(key=purpose), channel=channel or None)
    elif channel:
        message = "A channel needs a purpose: activation asks for consent to the purpose on the channel."
        raise InvalidDefinition([FieldError("purpose", "missing_key", message)])


def _same_or_refuse(segment: Segment, new: NewSegment) -> Segment:
    latest = SegmentVersion.objects.get(segment=segment, version=segment.version)
    given = (new.name, new.status, new.purpose, new.channel, clean_tags(new.tags), new.definition)
    kept = (segment.name, segment.status, segment.purpose, segment.channel, segment.tags, latest.definition)
    if given != kept:
        raise KeyTaken(new.key)
    return segment


def _write_version(segment: Segment, definition: Any, tokens: list[str], *, actor: str, now: datetime) -> None:
    SegmentVersion.objects.create(
        segment=segment,
        version=segment.version,
        definition=definition,
        tokens=tokens,
        created_at=now,
        created_by=actor,
    )


def _differs(segment: Segment, fields: Mapping[str, Any], name: str) -> bool:
    return name in fields and fields[name] != getattr(segment, name)


def _refuse_if_used(key: str) -> None:
    users = find_users_of(f"segment:{key}")
    if users:
        raise SegmentInUse(key, users)
