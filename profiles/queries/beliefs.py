"""What was believed about a person at a moment, and what was said of one trait, with why each statement won or lost.

A moment of the past is told from the events received by then, the corrections that stood and the rules in force then,
for the person as known today: what was merged since counts as one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q

from cdp.core.access import Principal, show
from profiles.models import Correction
from profiles.queries.corrections import corrected_values
from profiles.queries.profiles import CORRECTION, PERSONAL_KINDS, present_trait
from profiles.queries.statements import Said, read_said
from profiles.queries.trait_rules import find_rules_of
from profiles.services.traits import micros, normal_form
from profiles.survivorship.deciding import REASONS, WINS, Statement, Verdict, decide
from profiles.survivorship.folding import State, correction_state, is_verified, state_of
from profiles.survivorship.rules import DEFAULT, KINDS, Rule

CORRECTED = "corrected"
REPLACED = "replaced"
STANDS = "stands"
# Reasons that only statements by hand have.
BY_HAND_REASONS = {STANDS: "put right by hand", REPLACED: "replaced or lifted since"}


@dataclass(frozen=True, slots=True)
class Belief:
    """The traits of a person as believed at a moment, and the version of the rules of then."""

    rules_version: int
    states: Mapping[str, State]


@dataclass(frozen=True, slots=True)
class Told:
    """One statement about a trait: what was said, by whom, when, and whether it is believed.

    `raw` is what was sent where cleaning changed it, else None. Of a correction `source_id` is 0 and `by_hand` its id.
    """

    value: Any
    raw: Any
    source_id: int
    occurred_at: datetime
    received_at: datetime
    message_id: str
    reason: str
    by_hand: int = 0

    @property
    def wins(self) -> bool:
        """Tell whether this is what is believed."""
        return self.reason in {WINS, STANDS}

    @property
    def why(self) -> str:
        """Return the reason in English."""
        return BY_HAND_REASONS.get(self.reason) or REASONS[self.reason]


@dataclass(frozen=True, slots=True)
class History:
    """All that was said of one trait until a moment, the newest first, and the rule that decided."""

    trait: str
    rule: str
    rules_version: int
    told: list[Told]

    @property
    def sentence(self) -> str:
        """Return in English what the rule believes."""
        return KINDS[self.rule]


def find_belief(*, profile_id: int, profile_ids: Collection[int], moment: datetime, opens: bool) -> Belief:
    """Return the traits of a person as believed at a moment.

    Parameters
    ----------
    profile_ids : collection of int
        All internal ids of the person.
    opens : bool
        Whether what is stored encrypted is decrypted.
    """
    rules = find_rules_of(moment=moment)
    with connection.cursor() as cursor:
        said = read_said(cursor, profile_ids=profile_ids, until=moment, name=None, opens=opens)
    states: dict[str, State] = {}
    for name in sorted({name for one in said for name in one.traits}):
        rule = rules.by_trait.get(name, DEFAULT)
        statements = _statements(said, name, rule)
        states[name] = state_of(decide(statements, rule, rules.ranks), statements, rule)
    rows = _corrections(profile_id, moment)
    for row, value in zip(rows, corrected_values(rows, opens=opens), strict=True):
        states[row.trait] = correction_state(value, micros(row.created_at))
    return Belief(rules.version, states)


def present_belief(belief: Belief, *, sources: Mapping[int, str], principal: Principal) -> dict[str, Any]:
    """Return believed traits in the shape of the contract."""
    return {
        name: present_trait(name, value, meta or [0, 0, 0], sources, principal)
        for name, (value, meta) in sorted(belief.states.items())
        if value is not None
    }


def find_history(
    *, profile_id: int, profile_ids: Collection[int], trait: str, moment: datetime, opens: bool
) -> History:
    """Return what was said of one trait until a moment, with what was believed then and why."""
    rules = find_rules_of(moment=moment)
    rule = rules.by_trait.get(trait, DEFAULT)
    with connection.cursor() as cursor:
        said = read_said(cursor, profile_ids=profile_ids, until=moment, name=trait, opens=opens)
    statements = _statements(said, trait, rule)
    verdict = decide(statements, rule, rules.ranks)
    corrections = list(Correction.objects.filter(profile_id=profile_id, trait=trait, created_at__lte=moment))
    standing = max(
        (row for row in corrections if row.lifted_at is None or row.lifted_at > moment),
        key=lambda row: (row.created_at, row.pk),
        default=None,
    )
    told = _tell(said, verdict, trait, is_corrected=standing is not None)
    told += [
        Told(
            value=value,
            raw=None,
            source_id=0,
            occurred_at=row.created_at,
            received_at=row.created_at,
            message_id="",
            reason=STANDS if row is standing else REPLACED,
            by_hand=row.pk,
        )
        for row, value in zip(corrections, corrected_values(corrections, opens=opens), strict=True)
    ]
    told.sort(key=lambda one: (one.wins, one.occurred_at, one.received_at), reverse=True)
    return History(trait, rule.kind, rules.version, told)


def _tell(said: Sequence[Said], verdict: Verdict, trait: str, *, is_corrected: bool) -> list[Told]:
    return [
        Told(
            value=one.traits[trait],
            raw=one.raw.get(trait),
            source_id=one.source_id,
            occurred_at=one.occurred_at,
            received_at=one.received_at,
            message_id=one.message_id,
            reason=CORRECTED if is_corrected and reason == WINS else reason,
        )
        for one, reason in zip(said, verdict.reasons, strict=True)
    ]


def present_told(told: Told, *, trait: str, sources: Mapping[int, str], principal: Principal) -> dict[str, Any]:
    """Return one statement as REST and the page show it."""
    kind = PERSONAL_KINDS.get(trait, "text")
    return {
        "value": show(principal, told.value, kind) if told.value is not None else None,
        "raw": show(principal, told.raw, kind) if told.raw is not None else None,
        "source": CORRECTION if told.by_hand else sources.get(told.source_id, ""),
        "occurred_at": told.occurred_at,
        "received_at": told.received_at,
        "message_id": told.message_id or None,
        "correction_id": str(told.by_hand) if told.by_hand else None,
        "wins": told.wins,
        "reason": told.reason,
        "why": told.why,
    }


def _statements(said: Sequence[Said], name: str, rule: Rule) -> list[Statement]:
    return [
        Statement(
            normal_form(one.traits[name]),
            one.source_id,
            micros(one.occurred_at),
            micros(one.received_at),
            one.event_id,
            is_verified(rule, one.traits, one.source_id),
        )
        for one in said
        if name in one.traits
    ]


def _corrections(profile_id: int, moment: datetime) -> list[Correction]:
    rows = Correction.objects.filter(profile_id=profile_id, created_at__lte=moment)
    return list(rows.filter(Q(lifted_at=None) | Q(lifted_at__gt=moment)).order_by("created_at", "id"))
