"""Taking back what matching wrote about people who went while it looked at them.

Matching reads people, thinks for a while and then writes. Whoever was erased in between is not there any more, and
whose erasure is under way is restricted, since before its own look at these tables: so a look after the commit of what
was written finds everybody whom that look missed.
"""

from collections.abc import Iterable, Sequence

from django.db import connection, transaction
from django.db.models import Q

from cdp.core import locks
from cdp.core.copying import int_array
from profiles.matching_models import MatchCandidate, MatchedPair, MatchedRecord, MatchModel

GONE = """
SELECT t.id FROM unnest(%s::bigint[]) AS t(id) LEFT JOIN profiles_profile p ON p.id = t.id AND NOT p.restricted
WHERE p.id IS NULL
"""

# Keys are found by the list of each profile: there is no other way to them.
DROP_KEYS = """
WITH gone AS (
    DELETE FROM profiles_matchkeylist WHERE profile_id = ANY(%s::bigint[]) RETURNING model_id, profile_id, keys
)
DELETE FROM profiles_matchkey k USING (SELECT model_id, profile_id, unnest(keys) AS key FROM gone) g
WHERE k.model_id = g.model_id AND k.key = g.key AND k.profile_id = g.profile_id
"""


def drop_keys(profile_ids: Iterable[int]) -> None:
    """Delete the block keys of profiles, those of all models."""
    with connection.cursor() as cursor:
        cursor.execute(DROP_KEYS, [int_array(profile_ids)])


def forget_gone(*, model: MatchModel, ids: Sequence[int]) -> None:
    """Delete what was written about those of the profiles that are gone or restricted; after it was committed."""
    with connection.cursor() as cursor:
        cursor.execute(GONE, [int_array(ids)])
        gone = [row[0] for row in cursor.fetchall()]
    if not gone:
        return
    either = Q(left__in=gone) | Q(right__in=gone)
    with transaction.atomic(), connection.cursor() as cursor:
        # Merges write the same rows, and hold this lock when they do.
        locks.take(cursor, locks.IDENTITY)
        drop_keys(gone)
        MatchedRecord.objects.filter(run__model=model, profile_id__in=gone).delete()
        MatchedPair.objects.filter(either, run__model=model).delete()
        MatchCandidate.objects.filter(either, model=model, state=MatchCandidate.State.OPEN).delete()
