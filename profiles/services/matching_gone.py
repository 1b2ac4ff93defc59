"""Taking back what matching wrote about people who went while it looked at them.

Matching reads people, thinks for a while and then writes. Whoever was erased in between is not there any more, and
whose erasure is under way is restricted, since before its own look at these tables: so a look after the commit of what
was written finds everybody whom that look missed.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import Q

from cdp.core import locks
from cdp.core.copying import int_array
from profiles.matching_models import MatchCandidate, MatchedPair, MatchedRecord, MatchModel

# What is lost with a power failure is made anew, since how far matching came is lost with it: nobody waits for a disk.
UNSYNCED = "SET LOCAL synchronous_commit TO off"
TAKE = "SELECT pg_advisory_xact_lock(%(lock)s)"
GONE = """
SELECT t.id FROM unnest(%s::bigint[]) AS t(id) LEFT JOIN profiles_profile p ON p.id = t.id AND NOT p.restricted
WHERE p.id IS NULL
"""
GO_ON = "UPDATE profiles_matchmodel SET matched_change_id = %(change)s WHERE id = %(model)s"
GO_ON_WITHOUT_GONE = f"""
WITH gone AS MATERIALIZED (
    SELECT t.id FROM unnest(%(ids)s::bigint[]) AS t(id) LEFT JOIN profiles_profile p ON p.id = t.id AND NOT p.restricted
    WHERE p.id IS NULL
), went_on AS ({GO_ON} AND NOT EXISTS (SELECT FROM gone))
SELECT id FROM gone
"""
# Keys are found by the list of each profile: there is no other way to them.
DROP_KEYS = """
WITH gone AS (
    DELETE FROM profiles_matchkeylist WHERE profile_id = ANY(%s::bigint[]) RETURNING model_id, profile_id, keys
)
DELETE FROM profiles_matchkey k USING (SELECT model_id, profile_id, unnest(keys) AS key FROM gone) g
WHERE k.model_id = g.model_id AND k.key = g.key AND k.profile_id = g.profile_id
"""
# Who was joined to somebody while matching looked at them: their records are somebody else's now.
FOLLOW = """
UPDATE profiles_matchedrecord r SET profile_id = p.id
FROM profiles_matchrun m, profiles_identifier i JOIN profiles_profile p ON p.id = i.profile_id AND NOT p.restricted
WHERE m.id = r.run_id AND m.model_id = %s AND i.id = r.node AND r.profile_id = ANY(%s::bigint[])
    AND p.id <> r.profile_id
"""

# A statement and its parameters; a name means the same in all that are executed together.
Part = tuple[str, dict[str, Any]]


def write_together(parts: Iterable[Part]) -> None:
    """Execute statements one after the other, in one transaction and in one message to the server.

    Merges write the same rows, and hold the lock of identity when they do: nobody waits for a row and is waited for.
    """
    statements = [UNSYNCED, TAKE]
    given: dict[str, Any] = {"lock": locks.IDENTITY}
    for statement, parameters in parts:
        statements.append(statement)
        given |= parameters
    with connection.cursor() as cursor:
        cursor.execute(";".join(statements), given)


def drop_keys(profile_ids: Iterable[int]) -> None:
    """Delete the block keys of profiles, those of all models."""
    with connection.cursor() as cursor:
        cursor.execute(DROP_KEYS, [int_array(profile_ids)])


def forget_gone(*, model: MatchModel, ids: Sequence[int]) -> None:
    """Delete what was written about those of the profiles that are gone or restricted; after it was committed."""
    with connection.cursor() as cursor:
        cursor.execute(GONE, [int_array(ids)])
        gone = [row[0] for row in cursor.fetchall()]
    _forget(model, gone)


def forget_gone_and_go_on(*, model: MatchModel, ids: Sequence[int], change: int) -> None:
    """Do as `forget_gone` does, and keep up to which change the model came: in one statement, where nobody is gone."""
    given: dict[str, Any] = {"model": model.pk, "change": change, "ids": int_array(ids)}
    with connection.cursor() as cursor:
        cursor.execute(f"{UNSYNCED};{GO_ON_WITHOUT_GONE}", given)
        gone = [row[0] for row in cursor.fetchall()]
        if gone:
            # Only then: whoever is not forgotten yet is looked at again, if this process ends here.
            _forget(model, gone)
            cursor.execute(GO_ON, given)
    model.matched_change_id = change


def _forget(model: MatchModel, gone: Sequence[int]) -> None:
    if not gone:
        return
    either = Q(left__in=gone) | Q(right__in=gone)
    with transaction.atomic(), connection.cursor() as cursor:
        # Merges write the same rows, and hold this lock when they do.
        locks.take(cursor, locks.IDENTITY)
        drop_keys(gone)
        cursor.execute(FOLLOW, [model.pk, int_array(gone)])
        MatchedRecord.objects.filter(run__model=model, profile_id__in=gone).delete()
        MatchedPair.objects.filter(either, run__model=model).delete()
        MatchCandidate.objects.filter(either, model=model, state=MatchCandidate.State.OPEN).delete()
