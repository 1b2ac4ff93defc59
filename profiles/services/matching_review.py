"""Deciding pairs of the review queue: one, or all within a rule. Decisions become labels; rejected pairs stay out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import QuerySet

from cdp.core import locks
from cdp.core.services import audit
from profiles.errors import AlreadyDecided
from profiles.matching_models import MatchCandidate, MatchLabel
from profiles.models import Profile
from profiles.queries.matching import get_candidate
from profiles.queries.matching_records import read_holders
from profiles.services.guarding import refuse_restricted
from profiles.services.matching_labels import write_labels
from profiles.services.matching_merging import Matched, merge_matched
from profiles.services.matching_models import get_model
from profiles.services.retrying import retry_deadlocks

AT_ONCE = 100
MOST_IN_BULK = 5_000
State = MatchCandidate.State
THE_SAME = """
UPDATE profiles_matchcandidate c SET state = 'gone', decided_at = %(now)s
FROM unnest(%(left)s::bigint[], %(right)s::bigint[]) AS t("left", "right")
WHERE c.model_id = %(model)s AND c.state = 'open' AND c."left" = ANY(%(left)s::bigint[] || %(right)s::bigint[])
    AND least(c."left", c."right") = least(t."left", t."right")
    AND greatest(c."left", c."right") = greatest(t."left", t."right")
"""


@dataclass(frozen=True, slots=True)
class BulkRule:
    """Open pairs of a model whose probability lies between two bounds."""

    model: str
    decision: str
    least: float = 0.0
    most: float = 1.0


@retry_deadlocks
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
        # Before any row of the queue: a merge of others holds it when it comes to that row.
        locks.take(cursor, locks.IDENTITY)
        row = MatchCandidate.objects.select_for_update().filter(pk=candidate_id).first()
        if row is None:
            return get_candidate(candidate_id=candidate_id)
        if row.state != State.OPEN:
            message = "This pair has been decided already, or one of its profiles is gone."
            raise AlreadyDecided(message)
        holders = read_holders([row.left_node, row.right_node])
        refuse_restricted(cursor, holders.values(), actor=actor)
        if not _decide([row], decision, actor, now):
            message = "They cannot be joined: a limit, a block or a missing consent stands against it."
            raise AlreadyDecided(message)
    return get_candidate(candidate_id=candidate_id)


def _decide(rows: Sequence[MatchCandidate], decision: str, actor: str, now: datetime) -> int:
    """Decide pairs of one model, and return how many: those that cannot be joined stay as they are."""
    if decision == MatchLabel.Answer.SAME:
        rows = _join(rows, actor, now)
    if not rows:
        return 0
    write_labels(
        model=rows[0].model,
        pairs=[(row.left_node, row.right_node) for row in rows],
        answer=decision,
        origin=MatchLabel.Origin.REVIEW,
        actor=actor,
        now=now,
    )
    MatchCandidate.objects.filter(pk__in=[row.pk for row in rows]).update(
        state=State.MERGED if decision == MatchLabel.Answer.SAME else State.DIFFERENT,
        decided_at=now,
        decided_by=actor,
    )
    if decision == MatchLabel.Answer.DIFFERENT:
        _let_go_of_the_same(rows, now)
    audit.record_all(
        (
            audit.Act(actor, "match_candidate.decided", f"match_candidate:{row.pk}", {"decision": decision})
            for row in rows
        ),
        now=now,
    )
    return len(rows)


def _let_go_of_the_same(rows: Sequence[MatchCandidate], now: datetime) -> None:
    """Let go of open pairs of other records that the same two profiles hold by now: those are different, too."""
    with connection.cursor() as cursor:
        cursor.execute(
            THE_SAME,
            {
                "model": rows[0].model_id,
                "now": now,
                "left": [row.left for row in rows],
                "right": [row.right for row in rows],
            },
        )


def _join(rows: Sequence[MatchCandidate], actor: str, now: datetime) -> list[MatchCandidate]:
    """Join the pairs in one act, and return those that are one profile now."""
    nodes = {node for row in rows for node in (row.left_node, row.right_node)}
    holders = read_holders(nodes)
    there = [row for row in rows if row.left_node in holders and row.right_node in holders]
    pairs = [Matched(holders[row.left_node], holders[row.right_node], row.probability) for row in there]
    apart = [pair for pair in pairs if pair.left != pair.right]
    if apart:
        merge_matched(pairs=apart, model=rows[0].model.key, actor=actor, now=now)
        holders = read_holders(nodes)
    return [row for row in there if holders[row.left_node] == holders[row.right_node]]


def rows_of(rule: BulkRule) -> QuerySet[MatchCandidate]:
    """Return the open pairs that a rule takes in."""
    return MatchCandidate.objects.filter(
        model=get_model(key=rule.model),
        state=State.OPEN,
        probability__gte=rule.least,
        probability__lte=rule.most,
    )


def decide_in_bulk(
    *, rule: BulkRule, dry_run: bool, actor: str, now: datetime, shown: int | None = None
) -> tuple[int, int]:
    """Decide every open pair that a rule takes in, likeliest first; a dry run only counts them.

    Parameters
    ----------
    shown : int or None
        How many there were when somebody looked: where others came or went since, nothing is decided. None: nobody did.

    Returns
    -------
    (int, int)
        How many pairs the rule takes in, at most `MOST_IN_BULK` of which are decided at once, and how many were.
    """
    rows = rows_of(rule)
    total = rows.count()
    if dry_run or shown not in {None, total}:
        return total, 0
    ids = list(rows.order_by("-probability", "id").values_list("pk", flat=True)[:MOST_IN_BULK])
    parts = [ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE)]
    return total, sum(_decide_part(part, rule.decision, actor, now) for part in parts)


@retry_deadlocks
def _decide_part(ids: Sequence[int], decision: str, actor: str, now: datetime) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        part = MatchCandidate.objects.select_for_update(of=("self",)).select_related("model")
        open_rows = list(part.filter(pk__in=ids, state=State.OPEN).order_by("-probability", "id"))
        frozen = _frozen_nodes(open_rows)
        return _decide([row for row in open_rows if not {row.left_node, row.right_node} & frozen], decision, actor, now)


def _frozen_nodes(rows: Sequence[MatchCandidate]) -> set[int]:
    """Return the records of people whose processing is restricted: nothing is decided about them."""
    holders = read_holders({node for row in rows for node in (row.left_node, row.right_node)})
    restricted = set(Profile.objects.filter(pk__in=set(holders.values()), restricted=True).values_list("pk", flat=True))
    return {node for node, holder in holders.items() if holder in restricted}
