"""Reading reconciliations: the counts, the people they found, and what the two sources say of them today."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection
from django.db.models import QuerySet

from cdp.core.access import Principal, show
from cdp.core.copying import int_array
from cdp.core.spreadsheets import csv_lines
from ingestion.alerting.agreement import STATES
from ingestion.errors import InvalidReconciliation, UnknownReconciliation
from ingestion.reconciliation_models import ReconciledPerson, ReconciledState, Reconciliation
from profiles.queries.profiles import PERSONAL_KINDS, present_by_id

SIDES = ("only_a", "only_b")
FIELD_STATES = ("different", "form", "only_a", "only_b")
CSV_PAGE = 500
NAMED_IDENTIFIERS = ("user_id", "email", "phone", "record_id")
# Who was merged since is found under the id that stayed.
NOW_UNDER = """
SELECT t.id, p.id, p.uuid::text FROM unnest(%s::bigint[]) AS t(id)
LEFT JOIN profiles_absorbedid x ON x.dropped_id = t.id
JOIN profiles_profile p ON p.id = coalesce(x.profile_id, t.id)
"""
VALUES = """
SELECT DISTINCT ON (profile_id, source_id) profile_id, source_id, (traits -> %(field)s)::text, occurred_at
FROM profiles_event
WHERE profile_id = ANY(%(ids)s::bigint[]) AND source_id IN (%(a)s, %(b)s)
  AND occurred_at >= %(since)s AND occurred_at < %(until)s
  AND jsonb_typeof(traits) = 'object' AND jsonb_exists(traits, %(field)s)
ORDER BY profile_id, source_id, occurred_at DESC, received_at DESC, id DESC
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a source says last of a field, and when it said so; `value` None: nothing."""

    value: Any
    occurred_at: datetime | None


NOTHING = Statement(None, None)


def list_reconciliations() -> QuerySet[Reconciliation]:
    """Return all with their sources; the caller orders them."""
    return Reconciliation.objects.select_related("a", "b")


def get_reconciliation(*, reconciliation_id: int) -> Reconciliation:
    """Return one.

    Raises
    ------
    UnknownReconciliation
        None has this id, or it is older than what is kept.
    """
    found = list_reconciliations().filter(pk=reconciliation_id).first()
    if found is None:
        message = "No reconciliation has this id. Results are kept as long as the history of profiles."
        raise UnknownReconciliation(message)
    return found


def list_people(*, found: Reconciliation, state: str, field: str = "") -> QuerySet[ReconciledPerson]:
    """Return the people whom a reconciliation found; the caller orders them.

    Parameters
    ----------
    state : str
        ``only_a``, ``only_b``; of a field also ``different`` and ``form``.
    field : str
        Name of a trait; ``""``: the people as a whole.

    Raises
    ------
    InvalidReconciliation
        There is no such state or field.
    """
    allowed = FIELD_STATES if field else SIDES
    if state not in allowed:
        message = f"Choose one of {', '.join(allowed)}."
        raise InvalidReconciliation(message)
    if field and field not in found.fields:
        message = "The two sources have no such field in common."
        raise InvalidReconciliation(message)
    value = {one.label: one.value for one in ReconciledState}[state]
    return ReconciledPerson.objects.filter(reconciliation=found, field=field, state=value)


def present_reconciliation(found: Reconciliation) -> dict[str, Any]:
    """Return one in the shape of REST."""
    return {
        "id": str(found.pk),
        "a": found.a.key,
        "b": found.b.key,
        "since": found.since,
        "until": found.until,
        "status": found.status,
        "done": found.done,
        "total": found.total,
        "people": {"both": found.both, "only_a": found.only_a, "only_b": found.only_b},
        "fields": [{"field": name, **counts} for name, counts in sorted_fields(found)],
        "created_at": found.created_at,
        "finished_at": found.finished_at,
    }


def sorted_fields(found: Reconciliation) -> list[tuple[str, dict[str, int]]]:
    """Return the fields with their counts, those that differ most first."""
    fields = [(name, {state: counts.get(state, 0) for state in STATES}) for name, counts in found.fields.items()]
    return sorted(fields, key=lambda pair: (-pair[1]["different"], -pair[1]["form"], pair[0]))


def present_people(
    rows: Sequence[ReconciledPerson], *, found: Reconciliation, field: str, principal: Principal, now: datetime
) -> list[dict[str, Any]]:
    """Return people with their profile, and with what each source says of the field, masked where it must be.

    Who was erased since is left out; a constant number of statements.
    """
    with connection.cursor() as cursor:
        cursor.execute(NOW_UNDER, [int_array(row.profile_id for row in rows)])
        under = {row[0]: row[1] for row in cursor.fetchall()}
    profiles = present_by_id(list(dict.fromkeys(under.values())), principal=principal, now=now)
    said = read_statements(found=found, field=field, profile_ids=list(under.values())) if field else {}
    kind = PERSONAL_KINDS.get(field, "text")
    shown = []
    for row in rows:
        current = under.get(row.profile_id)
        if current is None or current not in profiles:
            continue
        person: dict[str, Any] = {"profile_id": profiles[current]["id"], "profile": profiles[current]}
        if field:
            for side, source_id in (("a", found.a_id), ("b", found.b_id)):
                statement = said.get((current, source_id), NOTHING)
                person[side] = show(principal, statement.value, kind)
                person[f"{side}_at"] = statement.occurred_at
        shown.append(person)
    return shown


def read_statements(
    *, found: Reconciliation, field: str, profile_ids: Sequence[int]
) -> dict[tuple[int, int], Statement]:
    """Return what each of the two sources says last of a field, by internal profile id and source id."""
    place: dict[str, Any] = {
        "ids": int_array(profile_ids),
        "a": found.a_id,
        "b": found.b_id,
        "field": field,
        "since": found.since or "-infinity",
        "until": found.until or "infinity",
    }
    with connection.cursor() as cursor:
        cursor.execute(VALUES, place)
        return {(row[0], row[1]): Statement(orjson.loads(row[2]), row[3]) for row in cursor.fetchall()}


def csv_people(*, found: Reconciliation, state: str, field: str, principal: Principal, now: datetime) -> Iterator[str]:
    """Yield CSV of everybody whom the list holds: the profile, its strongest identifiers, and both values."""
    people = list_people(found=found, state=state, field=field)
    header = ["profile_id", *NAMED_IDENTIFIERS, *(["field", found.a.key, found.b.key] if field else [])]

    def rows() -> Iterator[list[Any]]:
        after = 0
        while part := list(people.filter(pk__gt=after).order_by("pk")[:CSV_PAGE]):
            after = part[-1].pk
            for person in present_people(part, found=found, field=field, principal=principal, now=now):
                named: dict[str, str] = {}
                for one in person["profile"]["identifiers"]:
                    named.setdefault(one["type"], one["value"])
                cells: list[Any] = [person["profile_id"], *(named.get(name, "") for name in NAMED_IDENTIFIERS)]
                yield [*cells, field, person["a"], person["b"]] if field else cells

    return csv_lines(header, rows())
