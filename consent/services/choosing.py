"""Several decisions of one person at once, as pages and imports bring them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from cdp.core.services.audit import Act, record_all
from cdp.core.services.wakeups import wake
from consent import decision as rules
from consent.asking_models import Link, ShownText
from consent.errors import LinkGone
from consent.models import Notice, Purpose
from consent.queries.links import get_holder
from consent.services.decisions import FOLLOWERS
from consent.services.ledger import Choose, Entry, append_decisions
from profiles.queries.people import Person

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said on one purpose and channel (``""``: all channels)."""

    purpose: Purpose
    channel: str
    state: str


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how it was said; `text` is everything that the person saw, kept under its digest.

    `recorded_by` is for the audit trail, `actor` who decided.
    """

    source: str
    recorded_by: str
    method: str
    actor: str = rules.SUBJECT
    notice: Notice | None = None
    language: str = ""
    text: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


def record_said(
    *, person: Person, said: Sequence[Said], setting: Setting, now: datetime, wanted: Choose | None = None
) -> list[rules.Decision]:
    """Record what a person said, with its evidence, in the caller's transaction; the person's row is locked.

    Parameters
    ----------
    wanted : callable, optional
        As for `append_decisions`: leaves out what shall not be written as things stand.

    Returns
    -------
    list of Decision
        What was recorded; the number of statements does not depend on how many there are.
    """
    evidence = build_evidence(setting, now=now)
    entries = [
        Entry(
            profile_id=person.profile_id,
            identifier_id=person.identifier_id,
            purpose_id=one.purpose.pk,
            draft=rules.Draft(
                subject=person.uuid,
                purpose=one.purpose.key,
                channel=one.channel or None,
                state=one.state,
                occurred_at=now,
                recorded_at=now,
                actor=setting.actor,
            ),
            source=setting.source,
            notice_id=setting.notice.pk if setting.notice is not None else None,
            evidence=evidence,
        )
        for one in said
    ]
    recorded = [decision for _, decision in append_decisions(entries, now=now, wanted=wanted)]
    record_all(
        [
            Act(
                actor=setting.recorded_by,
                action=f"consent.{decision.state}",
                object=f"profile:{person.uuid}",
                detail={
                    "consent": decision.id,
                    "purpose": decision.purpose,
                    "channel": decision.channel,
                    "method": setting.method,
                },
            )
            for decision in recorded
        ],
        now=now,
    )
    if recorded:
        wake(FOLLOWERS)
    return recorded


def build_evidence(setting: Setting, *, now: datetime) -> dict[str, Any]:
    """Return the evidence of a setting; what the person saw is kept once, whoever else saw it."""
    evidence: dict[str, Any] = {**setting.evidence, "method": setting.method}
    if setting.language:
        evidence["language"] = setting.language
    if setting.text:
        evidence["text_sha256"] = keep_shown_text(text=setting.text, now=now)
    if setting.notice is not None:
        evidence["notice_sha256"] = setting.notice.sha256
    return evidence


def keep_shown_text(*, text: str, now: datetime) -> str:
    """Keep a text that somebody decided on, and return its digest."""
    sha256 = hash_text(text)
    ShownText.objects.bulk_create([ShownText(sha256=sha256, text=text, created_at=now)], ignore_conflicts=True)
    return sha256


def hash_text(text: str) -> str:
    """Return the digest under which a shown text is kept."""
    return hashlib.sha256(text.encode()).hexdigest()


def hold_holder(*, link: Link) -> Person:
    """Lock the row of the person whom a link belongs to, and make sure that it still does: a merge may be faster.

    Raises
    ------
    LinkGone
        If it belongs to nobody.
    """
    for _ in range(ATTEMPTS):
        person = get_holder(link=link)
        lock_profile(person.profile_id)
        if get_holder(link=link).profile_id == person.profile_id:
            return person
    raise LinkGone


def lock_profile(profile_id: int) -> None:
    """Lock a profile's row until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM profiles_profile WHERE id = %s FOR UPDATE", [profile_id])


def unless_refused(entry: Entry, history: Sequence[rules.Decision]) -> bool:
    """Want a refusal only where none stands: sending the same form twice makes one decision."""
    draft = entry.draft
    standing = rules.stand(history, purpose=draft.purpose, channel=draft.channel)
    return standing.state_at(draft.recorded_at) not in rules.REFUSALS


def if_nothing_stands(entry: Entry, history: Sequence[rules.Decision]) -> bool:
    """Want a question only where it takes nothing away: neither a grant, nor a refusal that it would cover."""
    draft = entry.draft
    standing = rules.stand(history, purpose=draft.purpose, channel=draft.channel)
    return not standing.objected and standing.state_at(draft.recorded_at) in {rules.UNKNOWN, rules.EXPIRED}
