"""Writing the register of disclosures: whatever leaves the house is entered in the transaction that lets it go."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from cdp.core.copying import int_array
from consent.disclosure_models import DisclosureTerms
from consent.partitions import MONTHS_AHEAD, PARENT, add_months, month_of, month_partition, month_statements
from consent.queries.purposes import get_purpose

INSERT = f"""
INSERT INTO {PARENT} (profile_id, at, terms_id, reference)
SELECT DISTINCT p, %s::timestamptz, %s::integer, %s FROM unnest(%s::bigint[]) AS p
"""
PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the disclosures of one batch have in common.

    Attributes
    ----------
    kind : str
        One of `DisclosureTerms.Kind`.
    recipient : str
        The organisation that receives the data, as the person would know it.
    purpose : str
        The key of a purpose.
    channel : str or None
        None stands for no particular one.
    fields : tuple of str
        Names of what is disclosed (``email``, ``trait:city``), never values.
    destination : str
        The key of the destination, if one was configured.
    actor : str
        Whose act it was, as the audit trail names it.
    """

    kind: str
    recipient: str
    purpose: str
    channel: str | None
    fields: tuple[str, ...]
    destination: str = ""
    actor: str = "system"


def record_disclosures(*, profile_ids: Sequence[int], terms: Terms, at: datetime, reference: str = "") -> int:
    """Enter that data of these people is disclosed, and return how many people these are.

    Call it in the transaction after which the data goes out: an entry without a disclosure is possible after a crash,
    a disclosure without an entry never. A constant number of statements for any number of people.

    Parameters
    ----------
    profile_ids : sequence of int
        Internal ids.
    reference : str
        Names the export or delivery, for example ``export:12``; no personal data.

    Raises
    ------
    UnknownPurpose
        If there is no such purpose.
    """
    if not profile_ids:
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(INSERT, [at, _terms_id(terms, at), reference, int_array(profile_ids)])
        return int(cursor.rowcount)


def _terms_id(terms: Terms, at: datetime) -> int:
    """Return the row of the terms, made at their first use."""
    purpose = get_purpose(key=terms.purpose)
    fields = sorted(set(terms.fields))
    known = {**asdict(terms), "fields": fields, "legal_basis": purpose.legal_basis, "channel": terms.channel or ""}
    digest = hashlib.sha256(orjson.dumps(known, option=orjson.OPT_SORT_KEYS)).digest()
    row, _ = DisclosureTerms.objects.get_or_create(digest=digest, defaults={**known, "created_at": at})
    return row.pk


def prepare_register() -> None:
    """Make the partitions of the coming months."""
    keep_register(timezone.now())


def keep_register(now: datetime) -> None:
    """Make the partitions that will be needed, drop months that are older than `CDP_DISCLOSURE_DAYS` as a whole."""
    today = now.astimezone(UTC).date()
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS, [PARENT])
        present = {row[0] for row in cursor.fetchall()}
    months = [month for name in present if (month := month_of(name))]
    # From the newest one on: an installation that was off for months gets the months between, too.
    month = max(months, default=add_months(today, -1))
    while month < add_months(today, MONTHS_AHEAD):
        month = add_months(month, 1)
        _run(month_statements(month))
    oldest = today - timedelta(days=settings.CDP_DISCLOSURE_DAYS)
    for month in months:
        if add_months(month, 1) <= oldest:
            _run([f"DROP TABLE {month_partition(month)}"])


def _run(statements: Iterable[str]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
