"""Consent in numbers: by day and by source, and what a stricter purpose would leave."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from consent import decision as rules
from consent.models import Purpose
from profiles.queries.profiles import read_source_names

DAYS = 90
SOURCE_PREFIX = "source:"
SAMPLE = 20

BY_DAY = """
SELECT (recorded_at AT TIME ZONE %(zone)s)::date, state, count(*) FROM consent_decision
WHERE purpose_id = %(purpose)s AND recorded_at >= %(since)s GROUP BY 1, 2
"""
BY_SOURCE = """
SELECT source, state, count(*), max(recorded_at) FROM consent_decision
WHERE purpose_id = %(purpose)s AND recorded_at >= %(since)s GROUP BY 1, 2
"""
LATEST_OF_SOURCES = "SELECT source, max(recorded_at) FROM consent_decision WHERE recorded_at >= %s GROUP BY 1"

# The channel's own row where there is one, else the row for all channels (`consent.queries.current`).
CELLS = """
SELECT DISTINCT ON (c.profile_id) c.profile_id, c.state, c.expires_at, c.conflict, c.objected, c.decision_id
FROM consent_current c WHERE c.purpose_id = %(purpose)s AND c.channel IN ('', %(channel)s)
ORDER BY c.profile_id, c.channel DESC
"""
GRANTED = """
SELECT cell.profile_id FROM ({cells}) AS cell
JOIN profiles_profile p ON p.id = cell.profile_id AND NOT p.restricted
JOIN consent_decision d ON d.id = cell.decision_id
LEFT JOIN consent_notice n ON n.id = d.notice_id
WHERE cell.state = 'granted' AND NOT cell.conflict AND (cell.expires_at IS NULL OR cell.expires_at > %(now)s)
"""
NOT_REFUSED = """
SELECT p.id FROM profiles_profile p LEFT JOIN ({cells}) AS cell ON cell.profile_id = p.id
WHERE NOT p.restricted AND (cell.profile_id IS NULL OR (
    NOT cell.conflict AND NOT cell.objected AND cell.state <> ALL(%({refusals})s)))
"""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Decisions recorded on a purpose: per day and state (every day of the period), and per source."""

    days: list[tuple[date, dict[str, int]]]
    sources: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stricter:
    """What a purpose would ask for: another legal basis, and of a grant what makes it count.

    `granted_after`: given later than this; `notice_version`: on this version of its notice or a later one;
    `by_subject`: given by the person, not by somebody else; `double_opt_in`: confirmed by mail.
    """

    legal_basis: str | None = None
    granted_after: datetime | None = None
    notice_version: int | None = None
    by_subject: bool = False
    double_opt_in: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """How many people may be processed for a purpose now, how many would be, and who would be lost (public ids)."""

    allowed_now: int
    allowed_then: int
    lost: int
    sample: list[str]


def read_statistics(*, purpose: Purpose, now: datetime, days: int = DAYS) -> Statistics:
    """Return how many decisions were recorded on a purpose, by day and by source (two statements)."""
    since = now - timedelta(days=days)
    given = {"purpose": purpose.pk, "since": since, "zone": settings.CDP_TIME_ZONE}
    counts: dict[date, dict[str, int]] = {}
    sources: dict[str, dict[str, Any]] = {}
    names = read_source_names()
    with connection.cursor() as cursor:
        cursor.execute(BY_DAY, given)
        for day, state, count in cursor.fetchall():
            counts.setdefault(day, dict.fromkeys(rules.RECORDABLE, 0))[state] = count
        cursor.execute(BY_SOURCE, given)
        for source, state, count, last_at in cursor.fetchall():
            key = name_source(source, names)
            row = sources.setdefault(key, {"source": key, **dict.fromkeys(rules.RECORDABLE, 0), "last_at": last_at})
            row[state] += count
            row["last_at"] = max(row["last_at"], last_at)
    today = now.astimezone(ZoneInfo(settings.CDP_TIME_ZONE)).date()
    every = [today - timedelta(days=back) for back in range(days, -1, -1)]
    empty = dict.fromkeys(rules.RECORDABLE, 0)
    return Statistics(
        days=[(day, counts.get(day, dict(empty))) for day in every],
        sources=sorted(
            sources.values(), key=lambda row: (-sum(row[state] for state in rules.RECORDABLE), row["source"])
        ),
    )


def find_silent_sources(*, sources: Mapping[int, str], now: datetime, days: int = DAYS) -> list[str]:
    """Return the keys of the sources from which no decision was recorded in the last days."""
    with connection.cursor() as cursor:
        cursor.execute(LATEST_OF_SOURCES, [now - timedelta(days=days)])
        heard = {source for source, _ in cursor.fetchall()}
    return sorted(key for source_id, key in sources.items() if f"{SOURCE_PREFIX}{source_id}" not in heard)


def preview_stricter(*, purpose: Purpose, channel: str | None, stricter: Stricter, now: datetime) -> Lost:
    """Return who would be lost if the purpose became stricter (three statements; nothing is changed).

    Parameters
    ----------
    channel : str or None
        None means all channels at once.
    """
    params: dict[str, Any] = {
        "purpose": purpose.pk,
        "channel": channel or "",
        "now": now,
        "weighed": [rules.DENIED, rules.WITHDRAWN, rules.OBJECTED],
        "objections": [rules.OBJECTED],
    }
    before = allowed_sql(purpose.legal_basis)
    then = allowed_sql(stricter.legal_basis or purpose.legal_basis, _conditions(stricter, params))
    lost = f"({before}) EXCEPT ({then})"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT (SELECT count(*) FROM ({before}) AS a), (SELECT count(*) FROM ({then}) AS b), "
            f"(SELECT count(*) FROM ({lost}) AS c)",
            params,
        )
        now_count, then_count, lost_count = cursor.fetchone()
        cursor.execute(
            "SELECT uuid::text FROM profiles_profile WHERE id IN "
            f"(SELECT * FROM ({lost}) AS lost ORDER BY 1 LIMIT {SAMPLE}) ORDER BY id",
            params,
        )
        sample = [row[0] for row in cursor.fetchall()]
    return Lost(now_count, then_count, lost_count, sample)


def allowed_sql(legal_basis: str, conditions: str = "") -> str:
    """Return the query for the profiles that `consent.decision.may_process` allows, with more asked of a grant."""
    if legal_basis == rules.CONSENT or legal_basis not in rules.LEGAL_BASES:
        return GRANTED.format(cells=CELLS) + conditions
    weighs = legal_basis in (rules.LEGITIMATE_INTERESTS, rules.PUBLIC_TASK)
    return NOT_REFUSED.format(cells=CELLS, refusals="weighed" if weighs else "objections")


def name_source(source: str, names: Mapping[int, str]) -> str:
    """Return the key of the source that a decision came from; of other ways in their own name."""
    number = source.removeprefix(SOURCE_PREFIX)
    if source.startswith(SOURCE_PREFIX) and number.isdecimal():
        return names.get(int(number), source)
    return source or "unknown"


def _conditions(stricter: Stricter, params: dict[str, Any]) -> str:
    found = ""
    if stricter.granted_after is not None:
        params["granted_after"] = stricter.granted_after
        found += " AND d.effective_at > %(granted_after)s"
    if stricter.notice_version is not None:
        params["notice_version"] = stricter.notice_version
        found += " AND n.version >= %(notice_version)s"
    if stricter.by_subject:
        found += " AND d.actor = 'subject'"
    if stricter.double_opt_in:
        found += " AND d.evidence ->> 'method' = 'double_opt_in'"
    return found
