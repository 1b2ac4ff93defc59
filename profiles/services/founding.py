"""Profiles of people whom no message has told of: they signed up on a form, or stand in a table of consents."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cdp.core.copying import int_array
from profiles.models import ChangeKind, Identifier, IdentifierType, Profile
from profiles.queries.people import Named, Person
from profiles.services.merging import write_changes

# The types that no other type could turn out to be: an e-mail is an e-mail whatever messages say later.
FOUNDING_TYPES = ("email", "phone")
# No source: the product itself.
OWN = 0
FIND = """
SELECT i.lookup, p.id, p.uuid::text, i.id FROM profiles_identifier i JOIN profiles_profile p ON p.id = i.profile_id
WHERE i.lookup = ANY(%s::bytea[])
"""
NOTE_WORK = """
INSERT INTO profiles_work (profile_id, names, since, message_id)
SELECT p, ARRAY['created', 'identifier:' || t], %s, '' FROM unnest(%s::bigint[], %s::text[]) AS n(p, t)
WHERE EXISTS (SELECT FROM profiles_workinterest)
"""


def find_or_found(cursor: Any, *, named: Sequence[Named], now: datetime) -> dict[bytes, Person]:
    """Return whom identifiers name, by lookup; who is not known yet gets a profile.

    The caller holds the lock `IDENTITY` and has made sure that none of the identifiers is suppressed. The number of
    statements does not depend on the number of identifiers.

    Parameters
    ----------
    named : sequence of Named
        Of types in `FOUNDING_TYPES`, or such as exist: others that do not exist are left out.
    """
    cursor.execute(FIND, [[one.lookup for one in named]])
    found = {bytes(lookup): Person(*rest) for lookup, *rest in cursor.fetchall()}
    missing = {one.lookup: one for one in named if one.lookup not in found and one.type in FOUNDING_TYPES}
    if not missing:
        return found
    types = {row.key: row for row in IdentifierType.objects.filter(key__in=FOUNDING_TYPES)}
    profiles = Profile.objects.bulk_create([Profile(uuid=uuid.uuid4(), created_at=now) for _ in missing])
    identifiers = Identifier.objects.bulk_create(
        [
            Identifier(
                type=types[one.type], lookup=lookup, value=one.value, profile=profile, first_seen_at=now, source_id=OWN
            )
            for (lookup, one), profile in zip(missing.items(), profiles, strict=True)
        ]
    )
    for identifier, profile in zip(identifiers, profiles, strict=True):
        found[bytes(identifier.lookup)] = Person(profile.pk, str(profile.uuid), identifier.pk)
    write_changes(cursor, [(profile.pk, ChangeKind.CREATED, {}) for profile in profiles], now)
    kinds = [one.type for one in missing.values()]
    cursor.execute(NOTE_WORK, [now, int_array(profile.pk for profile in profiles), kinds])
    return found
