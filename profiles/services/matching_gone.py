"""Taking back what matching wrote about people who went while it looked at them.

Matching reads people, thinks for a while and then writes. Whoever was erased in between is not there any more, and
whose erasure is under way is restricted, since before its own look at these tables: so a look after the commit of what
was written finds everybody whom that look missed.
"""

from collections.abc import Sequence

from django.db import connection
from django.db.models import Q

from cdp.core.copying import int_array
from profiles.matching_models import MatchCandidate, MatchedPair, MatchedRecord, MatchKey, MatchModel

GONE = """
SELECT t.id FROM unnest(%s::bigint[]) AS t(id) LEFT JOIN profiles_profile p ON p.id = t.id AND NOT p.restricted
WHERE p.id IS NULL
"""


def forget_gone(*, model: MatchModel, ids: Sequence[int]) -> None:
    """Delete what was written about those of the profiles that are gone or restricted; after it was committed."""
    with connection.cursor() as cursor:
        cursor.execute(GONE, [int_array(ids)])
        gone = [row[0] for row in cursor.fetchall()]
    if not gone:
        return
    either = Q(left__in=gone) | Q(right__in=gone)
    MatchKey.objects.filter(model=model, profile_id__in=gone).delete()
    MatchedRecord.objects.filter(run__model=model, profile_id__in=gone).delete()
    MatchedPair.objects.filter(either, run__model=model).delete()
    MatchCandidate.objects.filter(either, model=model, state=MatchCandidate.State.OPEN).delete()
