"""What this app holds about a person (`cdp.core.registries.PersonalData`), and the outcome rows of erased events."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.db import connection
from django.db.models import Q, QuerySet

from cdp.core.copying import bytea_array, int_array, text_array
from cdp.core.registries import Subject
from ingestion.models import (
    Archived,
    Discovered,
    Finding,
    ForwardedCopy,
    Held,
    KnownValue,
    Outcome,
    QualityAgreement,
    QualityCount,
    QualityRule,
    Quarantined,
    RefusedRow,
    TreatmentVersion,
)
from ingestion.queries.archived import find_places, find_places_of, read_raws
from ingestion.queries.known_values import value_digest
from ingestion.services.counting import count_moves
from ingestion.services.forward_bodies import readable, without_items
from ingestion.services.taking_out import take_out
from ingestion.spec.soundness import pack

ERASED = "erased"
# Bodies that are written again at once: each may hold thousands of messages.
BODIES = 50
# A shorter identifier ("42") stands in other people's payloads by chance.
TELLING_CHARACTERS = 6
FORGET = """
UPDATE ingestion_message SET outcome = %s, reason = %s, occurred_at = NULL, warnings = NULL
WHERE id = ANY(%s::bigint[]) AND outcome <> %s
RETURNING source_id, received_at
"""
REPLACED = "erased"
DEFINITIONS = """
SELECT t.id FROM ingestion_treatmentversion t
WHERE EXISTS (SELECT FROM unnest(%s::text[]) AS n(needle) WHERE position(n.needle IN lower(t.definition::text)) > 0
    OR position(n.needle IN lower(t.note)) > 0)
ORDER BY t.id
"""
MENTIONING = """
SELECT q.row_id FROM ingestion_quarantined q
WHERE EXISTS (SELECT FROM unnest(%s::bytea[]) AS n(needle) WHERE position(n.needle IN q.payload) > 0)
LIMIT %s
"""

# An event and the copy of the request that brought it were received at the same moment.
COPIES_MENTIONING = """
SELECT c.id FROM ingestion_forwardedcopy c
WHERE (c.source_id, c.received_at) IN (
    SELECT e.source_id, e.received_at FROM profiles_event e WHERE e.profile_id = ANY(%s::bigint[])
) AND EXISTS (SELECT FROM unnest(%s::bytea[]) AS n(needle) WHERE position(n.needle IN c.body) > 0)
ORDER BY c.id LIMIT %s
"""

REFUSED_MENTIONING = """
SELECT r.id FROM ingestion_refusedrow r
WHERE EXISTS (SELECT FROM unnest(%s::bytea[]) AS n(needle) WHERE position(n.needle IN r.payload) > 0)
LIMIT %s
"""


def forget_messages(ids: Sequence[int]) -> None:
    """Turn the outcome rows of erased events into suppressed ones; the counts follow. Nothing raw stays either."""
    take_out(find_places(ids=ids))
    _forget(ids, Outcome.ACCEPTED)


def _forget(ids: Sequence[int], before: Outcome) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FORGET, [Outcome.SUPPRESSED.value, ERASED, int_array(ids), Outcome.SUPPRESSED.value])
        rows = cursor.fetchall()
    count_moves((source_id, received_at, before, Outcome.SUPPRESSED) for source_id, received_at in rows)


def _needles(value: str) -> set[bytes]:
    """Return how a payload can hold an identifier: as a whole JSON text or number; a long one within a text, too."""
    text = orjson.dumps(value)
    found = {text, b'"' + value.encode() + b'"'}
    if value.isdecimal():
        found.update({b":" + value.encode() + end for end in (b",", b"}")})
    if len(value) >= TELLING_CHARACTERS:
        found.update({value.encode(), text[1:-1]})
    return found


class QuarantinedMessages:
    """Quarantined payloads that mention the person."""

    name = "quarantine"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return the payloads as text."""
        rows = Quarantined.objects.filter(pk__in=self._find(subject, None)).order_by("pk")
        return {
            "quarantine": [
                {"code": row.code, "at": row.created_at, "payload": bytes(row.payload).decode("utf-8", "replace")}
                for row in rows
            ]
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many there are."""
        return len(self._find(subject, None))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit`."""
        ids = self._find(subject, limit)
        Quarantined.objects.filter(pk__in=ids).delete()
        _forget(ids, Outcome.QUARANTINED)
        return len(ids)

    @staticmethod
    def _find(subject: Subject, limit: int | None) -> list[int]:
        needles = {needle for _, value in subject.identifiers for needle in _needles(value)}
        if not needles:
            return []
        with connection.cursor() as cursor:
            cursor.execute(MENTIONING, [bytea_array(needles), limit])
            return [row[0] for row in cursor.fetchall()]


class NamesSeen:
    """Names of events and properties in which somebody put the person's identifiers."""

    name = "names of events and properties"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return the names."""
        names = {name for row in self._discovered(subject) for name in (row.event, row.property) if name}
        return {"names_seen": sorted(names)}

    def count(self, *, subject: Subject) -> int:
        """Return how many rows there are."""
        return sum(rows.count() for rows in self._rows(subject))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit` of each kind."""
        done = 0
        for rows in self._rows(subject):
            ids = list(rows.order_by("pk").values_list("pk", flat=True)[:limit])
            rows.model.objects.filter(pk__in=ids).delete()
            done += len(ids)
        return done

    @staticmethod
    def _mention(subject: Subject, *fields: str) -> Q:
        telling = [value for _, value in subject.identifiers if len(value) >= TELLING_CHARACTERS]
        found = Q(pk__in=[])
        for field in fields:
            for value in telling:
                found |= Q(**{f"{field}__icontains": value})
            for _, value in subject.identifiers:
                found |= Q(**{f"{field}__iexact": value})
        return found

    def _discovered(self, subject: Subject) -> QuerySet[Discovered]:
        return Discovered.objects.filter(self._mention(subject, "event", "property"))

    def _rows(self, subject: Subject) -> list[QuerySet[Any]]:
        return [
            self._discovered(subject),
            Finding.objects.filter(self._mention(subject, "event", "path")),
            QualityCount.objects.filter(self._mention(subject, "event", "field")),
            QualityAgreement.objects.filter(self._mention(subject, "trait")),
        ]


class KnownValues:
    """Identifiers of the person among the values that references point at."""

    name = "known values"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return nothing: a keyed digest tells no more than that the value was seen."""
        del subject
        return {}

    def count(self, *, subject: Subject) -> int:
        """Return how many there are."""
        return self._rows(subject).count()

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit`."""
        ids = list(self._rows(subject).order_by("pk").values_list("pk", flat=True)[:limit])
        KnownValue.objects.filter(pk__in=ids).delete()
        return len(ids)

    @staticmethod
    def _rows(subject: Subject) -> QuerySet[KnownValue]:
        # By rule and digest is how they are found; there are few rules.
        rules = list(QualityRule.objects.filter(known_source__isnull=False).values_list("pk", flat=True))
        digests = [value_digest(value) for _, value in subject.identifiers]
        return KnownValue.objects.filter(rule_id__in=rules, digest__in=digests)


class QualityRules:
    """Rules for fields in which somebody wrote the person's identifiers; the rule stays, they go."""

    name = "rules for fields"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return which fields the rules are for: their content is the organisation's own text."""
        return {"quality_rules": [{"event": row.event, "field": row.field} for row in self._find(subject)]}

    def count(self, *, subject: Subject) -> int:
        """Return how many rules mention the person."""
        return len(self._find(subject))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Replace the identifiers in up to `limit` rules; one for a field of such a name goes."""
        rows = self._find(subject)[:limit]
        values = [value for _, value in subject.identifiers]
        for row in rows:
            if any(_replaced(text, values) != text for text in _names(row)):
                row.delete()
            else:
                row.allowed = _replaced(row.allowed, values)
                row.save(update_fields=["allowed"])
        return len(rows)

    @staticmethod
    def _find(subject: Subject) -> list[QualityRule]:
        values = [value for _, value in subject.identifiers]
        return [
            row
            for row in QualityRule.objects.order_by("pk")
            if _replaced([*row.allowed, *_names(row)], values) != [*row.allowed, *_names(row)]
        ]


def _names(row: QualityRule) -> tuple[str, ...]:
    return row.event, row.field, row.known_event, row.known_field


class TreatmentDefinitions:
    """Tests, tables and notes in which somebody wrote the person's identifiers; the definition stays, they go."""

    name = "treatment definitions"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return which versions mention the person: their content is the organisation's own text."""
        return {"treatment_definitions": [{"kind": row.kind, "version": row.version} for row in self._find(subject)]}

    def count(self, *, subject: Subject) -> int:
        """Return how many versions mention the person."""
        return len(self._find(subject))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Replace the identifiers in up to `limit` versions."""
        rows = self._find(subject)[:limit]
        values = [value for _, value in subject.identifiers]
        for row in rows:
            row.definition = _replaced(row.definition, values)
            row.note = _replaced(row.note, values)
        TreatmentVersion.objects.bulk_update(rows, ["definition", "note"])
        return len(rows)

    @staticmethod
    def _find(subject: Subject) -> list[TreatmentVersion]:
        values = [value for _, value in subject.identifiers]
        needles = {orjson.dumps(value.lower()).decode()[1:-1] for value in values}
        with connection.cursor() as cursor:
            cursor.execute(DEFINITIONS, [text_array(needles)])
            ids = [row[0] for row in cursor.fetchall()]
        found = TreatmentVersion.objects.filter(pk__in=ids).order_by("pk")
        # A short identifier stands in many texts by chance: only what a replacement would change counts.
        return [
            row
            for row in found
            if _replaced(row.definition, values) != row.definition or _replaced(row.note, values) != row.note
        ]


def _replaced(value: Any, identifiers: Sequence[str]) -> Any:
    """Return a JSON value without the identifiers: as whole texts or numbers, and long ones within texts."""
    if isinstance(value, dict):
        return {_replaced(name, identifiers): _replaced(inner, identifiers) for name, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, identifiers) for inner in value]
    if isinstance(value, bool) or not isinstance(value, str | int):
        return value
    text = str(value)
    for identifier in identifiers:
        if text.lower() == identifier.lower():
            return REPLACED
        if isinstance(value, str) and len(identifier) >= TELLING_CHARACTERS and identifier.lower() in text.lower():
            text = re.sub(re.escape(identifier), REPLACED, text, flags=re.IGNORECASE)
    return text if isinstance(value, str) else value


class RefusedRows:
    """Rows of imports that were refused and mention the person."""

    name = "refused_rows"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return what the rows held, as text."""
        rows = RefusedRow.objects.filter(pk__in=self._find(subject, None)).order_by("pk")
        return {
            "refused_rows": [
                {"code": row.code, "row": row.number, "payload": bytes(row.payload or b"").decode("utf-8", "replace")}
                for row in rows
            ]
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many there are."""
        return len(self._find(subject, None))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete what up to `limit` rows held; that they were refused stays counted."""
        return RefusedRow.objects.filter(pk__in=self._find(subject, limit)).update(payload=None)

    @staticmethod
    def _find(subject: Subject, limit: int | None) -> list[int]:
        needles = {needle for _, value in subject.identifiers for needle in _needles(value)}
        if not needles:
            return []
        with connection.cursor() as cursor:
            cursor.execute(REFUSED_MENTIONING, [bytea_array(needles), limit])
            return [row[0] for row in cursor.fetchall()]


class HeldMessages:
    """Messages that wait for consent."""

    name = "held"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return when they came; what they hold is released by a grant only."""
        rows = self._rows(subject).order_by("pk")
        return {"held": [{"received_at": row.received_at, "purpose": row.purpose} for row in rows]}

    def count(self, *, subject: Subject) -> int:
        """Return how many there are."""
        return self._rows(subject).count()

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit`."""
        ids = list(self._rows(subject).order_by("pk").values_list("pk", flat=True)[:limit])
        Held.objects.filter(pk__in=ids).delete()
        _forget(ids, Outcome.HELD)
        return len(ids)

    @staticmethod
    def _rows(subject: Subject) -> QuerySet[Held]:
        return Held.objects.filter(Q(lookups__overlap=list(subject.lookups)))


class ArchivedMessages:
    """Accepted messages as they were received, found by the person's events: this store is emptied before those.

    Messages of others that mention the person are taken out by `ingestion.services.taking_out.take_out_mentions`.
    """

    name = "archive"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return the messages, oldest first."""
        found = []
        for first_id, archived_at, ids in find_places_of(profile_ids=subject.profile_ids):
            wanted = set(ids)
            for row in Archived.objects.filter(first_id=first_id, archived_at=archived_at):
                found += [
                    {"received_at": raw.received_at, "message": raw.item}
                    for raw in read_raws(row)
                    if raw.row_id in wanted
                ]
        return {"archive": found}

    def count(self, *, subject: Subject) -> int:
        """Return how many there are."""
        return sum(len(ids) for _, _, ids in find_places_of(profile_ids=subject.profile_ids))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Take the messages of up to 50 requests out, whatever the limit."""
        del limit
        return take_out(find_places_of(profile_ids=subject.profile_ids)[:BODIES])


class WaitingCopies:
    """Copies of requests that wait to be forwarded: the person's messages go, those of others stay in the line.

    They are found by the person's events. Copies of messages that made none, or that mention the person otherwise, are
    found by `ingestion.services.taking_out.take_out_of_copies`, outside of any lock; nor would they be sent, because a
    suppressed person's messages are left out at the moment of sending.
    """

    name = "forwarding"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return the messages, oldest first."""
        needles = self._needles_of(subject)
        found = []
        for row in ForwardedCopy.objects.filter(pk__in=self._find(subject, needles, None)).order_by("pk"):
            batch = readable(bytes(row.body), row.endpoint)
            items = [item for item in batch.items if isinstance(item, dict)] if batch is not None else []
            found += [
                {"received_at": row.received_at, "message": item} for item in items if _holds(pack(item), needles)
            ]
        return {"forwarding": found}

    def count(self, *, subject: Subject) -> int:
        """Return how many requests mention the person."""
        return len(self._find(subject, self._needles_of(subject), None))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Take the person's messages out of up to 50 requests, whatever the limit."""
        del limit
        needles = self._needles_of(subject)
        ids = self._find(subject, needles, BODIES)
        rows = list(ForwardedCopy.objects.select_for_update().filter(pk__in=ids).order_by("pk"))
        for row in rows:
            left = without_items(bytes(row.body), row.endpoint, lambda raw: _holds(raw, needles))
            # What cannot be taken apart goes as a whole.
            if left is None or _holds(left, needles):
                row.delete()
            else:
                row.body, row.size = left, len(left)
                row.save(update_fields=["body", "size"])
        return len(rows)

    @staticmethod
    def _needles_of(subject: Subject) -> set[bytes]:
        return {needle for _, value in subject.identifiers for needle in _needles(value)}

    @staticmethod
    def _find(subject: Subject, needles: set[bytes], limit: int | None) -> list[int]:
        if not needles:
            return []
        with connection.cursor() as cursor:
            cursor.execute(COPIES_MENTIONING, [int_array(subject.profile_ids), bytea_array(needles), limit])
            return [row[0] for row in cursor.fetchall()]


def _holds(raw: bytes, needles: set[bytes]) -> bool:
    return any(needle in raw for needle in needles)
