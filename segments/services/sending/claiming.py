"""Claiming deliveries: in one transaction they are taken, judged by the gate, stamped as being sent, and disclosed.

What is to be said of somebody is decided here and never earlier, from three facts: whether they are a member, whether
the gate lets them be sent, and whether the receiver was told of them. So a change that was overtaken by another costs
nothing, and whatever was missed is put right by looking again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from consent.disclosure_models import DisclosureTerms
from consent.services.disclosures import Terms
from segments.models import Membership
from segments.sending.columns import Column, values_of
from segments.sending.retrying import MOST_ATTEMPTS
from segments.sending_models import Activated, Delivery, DeliveryCount, DeliveryRecord, Destination
from segments.services.sending.fitting import is_covered
from segments.services.sending.gated import GONE, GOOD_FOR_SECONDS, Released, disclose, release
from segments.services.sending.posting import Parcel
from segments.services.sending.recipes import open_values, seal_values

ENTERED, LEFT, MEMBER = "entered", "left", "member"
LEASE = timedelta(seconds=30)
MARKS = 5_000
SEGMENT = "segment"
# A condition of the segment or a column uses a field that does not serve the purpose, by a tag given since.
NOT_COVERED = "field_not_covered"

QUEUE = f"""
WITH taken AS (
    DELETE FROM segments_deliverymark WHERE id IN (
        SELECT id FROM segments_deliverymark WHERE destination_id = %(destination)s
        ORDER BY id LIMIT {MARKS} FOR UPDATE SKIP LOCKED
    ) RETURNING profile_id, "full"
)
INSERT INTO segments_delivery AS d
    (destination_id, profile_id, generation, "full", state, kind, attempts, reason, due_at, queued_at)
SELECT %(destination)s, profile_id, 1, bool_or("full"), 'waiting', '', 0, '', %(now)s, %(now)s
FROM taken GROUP BY profile_id ORDER BY profile_id
ON CONFLICT (destination_id, profile_id) DO UPDATE SET
    generation = d.generation + 1,
    "full" = d."full" OR excluded."full",
    queued_at = CASE WHEN d.state = 'dead' THEN excluded.queued_at ELSE d.queued_at END,
    due_at = CASE WHEN d.state = 'dead' THEN excluded.due_at ELSE d.due_at END,
    attempts = CASE WHEN d.state = 'dead' THEN 0 ELSE d.attempts END,
    state = CASE WHEN d.state = 'dead' THEN 'waiting' ELSE d.state END
"""
TAKE = """
SELECT id FROM segments_delivery
WHERE destination_id = %s AND state <> 'dead' AND due_at <= %s ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
"""
STAMP = """
UPDATE segments_delivery d SET state = 'sending', due_at = %s, attempts = d.attempts + 1, kind = t.kind, reason = ''
FROM unnest(%s::bigint[], %s::text[]) AS t(id, kind) WHERE d.id = t.id
"""
COUNT = """
INSERT INTO segments_deliverycount AS c (destination_id, day, kind, outcome, reason, count)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (destination_id, day, kind, outcome, reason) DO UPDATE SET count = c.count + excluded.count
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is under way, with what is needed to write down what came of it."""

    parcel: Parcel
    row: Delivery
    profile_uuid: UUID | None


@dataclass(frozen=True, slots=True)
class Window:
    """What one claim brought: what is to be sent, and how many rows were settled without sending."""

    claimed: list[Claimed]
    settled: int


def queue_marks(*, destination: Destination, now: datetime) -> int:
    """Turn marks into deliveries, one for each person."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(QUEUE, {"destination": destination.pk, "now": now})
        return int(cursor.rowcount)


def claim_window(*, destination: Destination, size: int, now: datetime) -> Window:
    """Take the oldest deliveries that are due and decide what is sent, in a constant number of statements.

    Parameters
    ----------
    size : int
        At most so many; one, while it is not known whether the receiver is there again.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(TAKE, [destination.pk, now, size])
        ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return Window([], 0)
        rows = _without_poison(list(Delivery.objects.filter(pk__in=ids).order_by("due_at", "pk")))
        decisions = _decide(destination, rows, now)
        claimed = [_claim(destination, one) for one in decisions if one.kind]
        settled = [one for one in decisions if not one.kind]
        _settle(destination, settled, now)
        if claimed:
            _note_activated(destination, [one for one in decisions if one.kind], now)
            cursor.execute(STAMP, [now + LEASE, [one.row.pk for one in claimed], [one.parcel.kind for one in claimed]])
    return Window(claimed, len(settled))


def _without_poison(rows: Sequence[Delivery]) -> list[Delivery]:
    """Give up what was under way each time that a worker died."""
    poison = [row for row in rows if row.state == Delivery.State.SENDING and row.attempts >= MOST_ATTEMPTS]
    if poison:
        dead = Delivery.objects.filter(pk__in=[row.pk for row in poison])
        dead.update(state=Delivery.State.DEAD, reason="the worker died in each attempt")
    return [row for row in rows if row not in poison]


@dataclass(slots=True)
class _Decision:
    """What is said of one row: `kind` "" for nothing, then `skipped` tells why, if anybody might ask."""

    row: Delivery
    kind: str = ""
    reason: str = ""
    skipped: str = ""
    values: dict[str, Any] | None = None
    uuid: UUID | None = None
    good_until: float = 0.0


def _decide(destination: Destination, rows: Sequence[Delivery], now: datetime) -> list[_Decision]:
    ids = [row.profile_id for row in rows if row.profile_id is not None]
    # The question to the gate comes last, so that its answer is as fresh as can be.
    members = set(
        Membership.objects.filter(segment_id=destination.segment_id, profile_id__in=ids).values_list(
            "profile_id", flat=True
        )
    )
    activated = {row.profile_id: row for row in Activated.objects.filter(destination=destination, profile_id__in=ids)}
    columns = [Column(**column) for column in destination.columns]
    covered = is_covered(segment=destination.segment, purpose=destination.purpose, columns=columns)
    released = release(profile_ids=ids, purpose=destination.purpose, channel=destination.channel, now=now)
    if not covered:
        released = Released([], {pk: released.refused.get(pk, NOT_COVERED) for pk in ids}, released.judged_at)
    decisions = []
    for row in rows:
        one = _Decision(row, good_until=released.judged_at + GOOD_FOR_SECONDS)
        if row.profile_id is None:
            one.kind, one.reason = LEFT, GONE
            one.values = open_values(row.sent_as) if row.sent_as else {}
        else:
            _decide_person(destination, one, row.profile_id in members, activated.get(row.profile_id), released)
            if one.kind in {ENTERED, MEMBER}:
                person = released.people[row.profile_id]
                one.uuid = UUID(person.uuid)
                named = [column.name for column in columns]
                one.values = dict(zip(named, values_of(person, columns), strict=True))
        decisions.append(one)
    return decisions


def _decide_person(
    destination: Destination, one: _Decision, is_member: bool, told: Activated | None, released: Released
) -> None:
    profile_id = one.row.profile_id
    refused = released.refused.get(profile_id or 0, "")
    if is_member and not refused:
        if told is not None and told.confirmed_at is not None and not one.row.full:
            return
        if one.row.full:
            one.kind = MEMBER
        elif destination.send_entered:
            one.kind = ENTERED
        return
    if told is None:
        one.skipped = refused if is_member else ""
        return
    # Whoever may no longer be sent is taken off, whether leaving is told or not.
    if refused or destination.send_left:
        one.kind, one.reason = LEFT, refused or SEGMENT
        one.values, one.uuid = open_values(told.sent_as), told.profile_uuid


def _claim(destination: Destination, one: _Decision) -> Claimed:
    message_id = f"msg_{destination.pk}_{one.row.pk}_{one.row.generation}"
    parcel = Parcel(one.row.pk, message_id, one.kind, one.reason, one.values or {}, one.good_until)
    return Claimed(parcel, one.row, one.uuid)


def _note_activated(destination: Destination, decisions: Sequence[_Decision], now: datetime) -> None:
    """Write down whom the receiver may know from now on, and enter all as disclosed: before anything is sent."""
    told = [(one, one.row.profile_id, one.uuid) for one in decisions if one.kind != LEFT]
    Activated.objects.bulk_create(
        [
            Activated(
                destination=destination,
                profile_id=profile_id,
                profile_uuid=public_id,
                sent_as=seal_values(one.values or {}),
                claimed_at=now,
            )
            for one, profile_id, public_id in told
            if profile_id is not None and public_id is not None
        ],
        update_conflicts=True,
        unique_fields=["destination", "profile_id"],
        update_fields=["profile_uuid", "sent_as", "claimed_at"],
    )
    by_kind = {
        DisclosureTerms.Kind.DELIVERY: [one.row.profile_id for one, _, _ in told],
        DisclosureTerms.Kind.REMOVAL: [one.row.profile_id for one in decisions if one.kind == LEFT],
    }
    for kind, some in by_kind.items():
        ids = [profile_id for profile_id in some if profile_id is not None]
        disclose(profile_ids=ids, terms=terms_of(destination, kind), reference=f"destination:{destination.key}", at=now)


def terms_of(destination: Destination, kind: str) -> Terms:
    """Return what the register of disclosures says of a destination."""
    names = (
        f"{column['source']} (hashed)" if column["transform"].startswith("hash_") else column["source"]
        for column in destination.columns
    )
    return Terms(
        kind=kind,
        recipient=destination.recipient,
        purpose=destination.purpose,
        channel=destination.channel or None,
        fields=tuple(sorted(set(names))),
        destination=destination.key,
    )


def _settle(destination: Destination, decisions: Sequence[_Decision], now: datetime) -> None:
    """Delete rows about which nothing is to be said; who was refused is written into the log."""
    if not decisions:
        return
    Delivery.objects.filter(pk__in=[one.row.pk for one in decisions]).delete()
    skipped = [one for one in decisions if one.skipped]
    DeliveryRecord.objects.bulk_create(
        DeliveryRecord(
            destination=destination,
            delivery_id=one.row.pk,
            profile_id=one.row.profile_id,
            outcome=DeliveryRecord.Outcome.SKIPPED,
            reason=one.skipped,
            at=now,
        )
        for one in skipped
    )
    counts: dict[tuple[str, str, str], int] = {}
    for one in skipped:
        key = ("", DeliveryRecord.Outcome.SKIPPED.value, one.skipped)
        counts[key] = counts.get(key, 0) + 1
    count_outcomes(destination=destination, counts=counts, day=now.date())


def count_outcomes(*, destination: Destination, counts: dict[tuple[str, str, str], int], day: date) -> None:
    """Add to the counts of a day, by kind, outcome and reason."""
    with connection.cursor() as cursor:
        for (kind, outcome, reason), count in sorted(counts.items()):
            cursor.execute(COUNT, [destination.pk, day, kind, outcome, reason, count])


def forget_counts(now: datetime, *, days: int) -> None:
    """Delete counts that nothing shows any more."""
    DeliveryCount.objects.filter(day__lt=(now - timedelta(days=days)).date()).delete()
