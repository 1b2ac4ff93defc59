"""Deciding pairs of the review queue: one, or all within a rule. Decisions become labels; rejected pairs stay out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import QuerySet

from cdp.core.services import audit
from profiles.errors import AlreadyDecided
from profiles.matching_models import MatchCandidate, MatchLabel
from profiles.models import Profile
from profiles.queries.matching import get_candidate
from profiles.queries.matching_records import read_holders
from profiles.services.guarding import refuse_restricted
from profiles.services.matching_merging import Matched, merge_matched
from profiles.services.matching_models import get_model, write_label

AT_ONCE = 100
MOST_IN_BULK = 5_000
State = MatchCandidate.State


@dataclass(frozen=True, slots=True)
class BulkRule:
    """Open pairs of a model whose probability lies between two bounds."""

    model: str
    decision: str
    least: float = 0.0
    most: float = 1.0


def decide_candidate(*, candidate_id: int, decision: str, actor: str, now: datetime) -> MatchCandidate:
    """Join the two, or note that they are different.

    Raises
    ------
    NoSuchCandidate
        If none has this id.
    AlreadyDecided
        If it is decided, or something stands against the merge: a limit, a block, a missing consent.
    RestrictedProfile
        If processing of one of the two is restricted.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        row = MatchCandidate.objects.select_for_update().filter(pk=candidate_id).first()
        if row is None:
            return get_candidate(candidate_id=candidate_id)
        if row.state != State.OPEN:
            message = "This pair has been decided already, or one of its profiles is gone."
            raise AlreadyDecided(message)
        holders = read_holders([row.left_node, row.right_node])
        refuse_restricted(cursor, holders.values(), actor=actor)
        if not _decide(row, decision, actor, now):
            message = "They cannot be joined: a limit, a block or a missing consent stands against it."
            raise AlreadyDecided(message)
    return get_candidate(candidate_id=candidate_id)


def _decide(row: MatchCandidate, decision: str, actor: str, now: datetime) -> bool:
    holders = read_holders([row.left_node, row.right_node])
    left, right = holders.get(row.left_node), holders.get(row.right_node)
    if decision == MatchLabel.Answer.SAME:
        if left is None or right is None:
            return False
        if left != right and not merge_matched(
            pairs=[Matched(left, right, row.probability)], model=row.model.key, actor=actor, now=now
        ):
            return False
    write_label(
        model=row.model,
        pair=(row.left_node, row.right_node),
        answer=decision,
        origin=MatchLabel.Origin.REVIEW,
        actor=actor,
        now=now,
    )
    MatchCandidate.objects.filter(pk=row.pk).update(
        state=State.MERGED if decision == MatchLabel.Answer.SAME else State.DIFFERENT,
        decided_at=now,
        decided_by=actor,
    )
    audit.record(
        actor=actor,
        action="match_candidate.decided",
        object=f"match_candidate:{row.pk}",
        detail={"decision": decision},
        now=now,
    )
    return True


def rows_of(rule: BulkRule) -> QuerySet[MatchCandidate]:
    """Return the open pairs that a rule takes in."""
    return MatchCandidate.objects.filter(
        model=get_model(key=rule.model),
        state=State.OPEN,
        probability__gte=rule.least,
        probability__lte=rule.most,
    )


def decide_in_bulk(*, rule: BulkRule, dry_run: bool, actor: str, now: datetime) -> tuple[int, int]:
    """Decide every open pair that a rule takes in, likeliest first; a dry run only counts them.

    Returns
    -------
    (int, int)
        How many pairs the rule takes in, at most `MOST_IN_BULK` of which are decided at once, and how many were.
    """
    rows = rows_of(rule)
    total = rows.count()
    if dry_run:
        return total, 0
    decided = 0
    ids = list(rows.order_by("-probability", "id").values_list("pk", flat=True)[:MOST_IN_BULK])
    for start in range(0, len(ids), AT_ONCE):
        with transaction.atomic():
            part = MatchCandidate.objects.select_for_update(of=("self",)).select_related("model")
            open_rows = list(
                part.filter(pk__in=ids[start : start + AT_ONCE], state=State.OPEN).order_by("-probability", "id")
            )
            frozen = _frozen_nodes(open_rows)
            for row in open_rows:
                if not {row.left_node, row.right_node} & frozen:
                    decided += _decide(row, rule.decision, actor, now)
    return total, decided


def _frozen_nodes(rows: Sequence[MatchCandidate]) -> set[int]:
    """Return the records of people whose processing is restricted: nothing is decided about them."""
    holders = read_holders({node for row in rows for node in (row.left_node, row.right_node)})
    restricted = set(Profile.objects.filter(pk__in=set(holders.values()), restricted=True).values_list("pk", flat=True))
    return {node for node, holder in holders.items() if holder in restricted}
