"""What fuzzy matching does when profiles are merged or split by others (`cdp.core.registries.MergeParticipant`)."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection
from django.db.models import Q

from cdp.core.registries import MergePair, SplitPair
from profiles.matching_models import MatchCandidate
from profiles.services.matching_gone import drop_keys

MOVE = """
UPDATE {table} t SET {column} = m.kept FROM unnest(%s::bigint[], %s::bigint[]) AS m(dropped, kept)
WHERE t.{column} = m.dropped
"""
# What is left of a pair that became one profile.
ONE_NOW = """
UPDATE profiles_matchcandidate SET state = 'gone', decided_at = %s WHERE state = 'open' AND "left" = "right"
"""


class MatchingFollows:
    """Keeps the rows of runs and of the review queue with the profiles that hold them."""

    name = "matching"

    def on_merge(self, *, pairs: Sequence[MergePair], now: datetime) -> None:
        """Point rows of the dropped profiles at the kept ones."""
        ids = [[pair.dropped_id for pair in pairs], [pair.kept_id for pair in pairs]]
        with connection.cursor() as cursor:
            for table, column in (
                ("profiles_matchedrecord", "profile_id"),
                ("profiles_matchcandidate", '"left"'),
                ("profiles_matchcandidate", '"right"'),
                ("profiles_matchedpair", '"left"'),
                ("profiles_matchedpair", '"right"'),
            ):
                cursor.execute(MOVE.format(table=table, column=column), ids)
            cursor.execute(ONE_NOW, [now])
        # The kept one changed, so its keys are made anew within a minute.
        drop_keys(ids[0])

    def on_split(self, *, pairs: Sequence[SplitPair], now: datetime) -> None:
        """Let go of undecided pairs of profiles that were taken apart; the next run finds them anew."""
        ids = [pair.from_id for pair in pairs]
        MatchCandidate.objects.filter(Q(left__in=ids) | Q(right__in=ids), state=MatchCandidate.State.OPEN).update(
            state=MatchCandidate.State.GONE, decided_at=now
        )
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE profiles_matchedrecord r SET profile_id = i.profile_id FROM profiles_identifier i "
                "WHERE i.id = r.node AND r.profile_id = ANY(%s::bigint[])",
                [ids],
            )
        drop_keys(ids)
