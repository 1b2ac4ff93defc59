"""A transparency and consent string of one person becomes decisions on our purposes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from cdp.core.services.audit import Act, record_all
from cdp.core.services.wakeups import wake
from consent import decision as rules
from consent.errors import Suppressed, VoidTcString
from consent.models import Decision, Purpose
from consent.queries.suppressions import find_suppressed_named
from consent.services.decisions import FOLLOWERS, hold_person, strongest_identifier
from consent.services.ledger import Entry, append_decisions
from consent.tcf.decode import TcString, decode
from consent.tcf.judge import Judgement, judge, read_answer
from profiles.queries.people import Named


@dataclass(frozen=True, slots=True)
class NewTcString:
    """A string, and whose it is: exactly one of `profile_uuid` and `identifier`."""

    text: str
    recorded_by: str
    profile_uuid: str | None = None
    identifier: Named | None = None
    occurred_at: datetime | None = None
    source: str = "api"
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a string said, how it was judged, and the decisions that came of it."""

    tc: TcString
    judgement: Judgement
    decisions: list[Decision]


def read_tc_string(text: str) -> tuple[TcString, Judgement]:
    """Read a string and judge it by this installation's settings.

    Raises
    ------
    UnreadableTcString
        If it cannot be read in whole.
    """
    tc = decode(text)
    return tc, judge(tc, deleted_cmps=settings.CDP_TCF_DELETED_CMPS)


def evidence_of(text: str, tc: TcString, judgement: Judgement) -> dict[str, Any]:
    """Return the evidence of a string: itself, which tool made it on which day, and what is odd about it."""
    return {
        "tc_string": text,
        "cmp_id": tc.cmp_id,
        "cmp_version": tc.cmp_version,
        "vendor_list_version": tc.vendor_list_version,
        "policy_version": tc.policy_version,
        "created_on": tc.created_at.date().isoformat(),
        "language": tc.language.lower(),
        "flags": list(judgement.flags),
    }


def record_tc_string(*, new: NewTcString, now: datetime) -> Recorded:
    """Record what a string says on every purpose that is mapped to the framework.

    Notes
    -----
    What stands already is not written again, so a string may be sent with every visit. Without a time of its own a
    choice counts from the day that the string names: an old string must not lift a withdrawal made since.

    Raises
    ------
    UnreadableTcString, VoidTcString
        If the string cannot be read, or breaks rules of the framework.
    NoSuchProfile
        If no profile has the id or identifier.
    Suppressed
        If the identifier is suppressed after an erasure.
    """
    tc, judgement = read_tc_string(new.text)
    if not judgement.counts:
        raise VoidTcString(judgement.flags)
    if new.identifier is not None and find_suppressed_named([new.identifier]):
        raise Suppressed
    evidence = {"method": "tcf", **new.evidence, **evidence_of(new.text, tc, judgement)}
    with transaction.atomic():
        person = hold_person(profile_uuid=new.profile_uuid, identifier=new.identifier)
        identifier_id = person.identifier_id or strongest_identifier(person.profile_id)
        entries = [
            Entry(
                profile_id=person.profile_id,
                identifier_id=identifier_id,
                purpose_id=purpose.pk,
                draft=rules.Draft(
                    subject=person.uuid,
                    purpose=purpose.key,
                    channel=None,
                    state=rules.GRANTED if said else rules.DENIED,
                    occurred_at=new.occurred_at or tc.updated_at,
                    recorded_at=now,
                ),
                source=new.source,
                evidence=evidence,
            )
            for purpose, said in _answers(tc)
        ]
        recorded = [decision for _, decision in append_decisions(entries, now=now, wanted=_is_news)]
        record_all(
            [
                Act(
                    actor=new.recorded_by,
                    action=f"consent.{decision.state}",
                    object=f"profile:{person.uuid}",
                    detail={"consent": decision.id, "purpose": decision.purpose, "method": "tcf"},
                )
                for decision in recorded
            ],
            now=now,
        )
        if recorded:
            wake(FOLLOWERS)
    rows = Decision.objects.select_related("purpose", "notice").filter(id__in=[one.id for one in recorded])
    return Recorded(tc, judgement, list(rows.order_by("id")))


def _answers(tc: TcString) -> list[tuple[Purpose, bool]]:
    found = []
    for purpose in Purpose.objects.exclude(tcf_purposes=[]).order_by("key"):
        said = read_answer(tc, purposes=purpose.tcf_purposes, vendor_id=settings.CDP_TCF_VENDOR_ID)
        if said is not None:
            found.append((purpose, said))
    return found


def _is_news(entry: Entry, history: Sequence[rules.Decision]) -> bool:
    state = rules.stand(history, purpose=entry.draft.purpose, channel=None).state_at(entry.draft.recorded_at)
    return state != rules.GRANTED if entry.draft.state == rules.GRANTED else state not in rules.REFUSALS
