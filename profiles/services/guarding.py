"""When a profile must not be changed by hand: while its events are moved, it is erased, or processing is restricted."""

from collections.abc import Iterable
from typing import Any

from cdp.core.copying import int_array
from cdp.core.digests import identifier_digest
from cdp.core.registries import suppression_checks
from profiles.errors import BusyProfile, RestrictedProfile
from profiles.services.moving import is_moving

SYSTEM_ACTOR = "system"
RESTRICTED = """
SELECT t.key, i.value FROM profiles_profile p JOIN profiles_identifier i ON i.profile_id = p.id
JOIN profiles_identifiertype t ON t.id = i.type_id WHERE p.restricted AND p.id = ANY(%s::bigint[])
"""


def refuse_while_busy(cursor: Any, profile_ids: Iterable[int]) -> None:
    """Refuse to go on while events of the profiles are being moved, or while one of them is being erased.

    Raises
    ------
    BusyProfile
        If so.
    """
    ids = list(profile_ids)
    if is_moving(cursor, ids):
        message = "Events of this person are still being moved. Try again in a moment."
        raise BusyProfile(message)
    refuse_erased(cursor, ids)


def refuse_erased(cursor: Any, profile_ids: Iterable[int]) -> None:
    """Refuse to go on while one of the profiles is being erased: restricted, its identifiers suppressed.

    Raises
    ------
    BusyProfile
        If so.
    """
    cursor.execute(RESTRICTED, [int_array(profile_ids)])
    named = [(type_key, value, identifier_digest(type_key, value)) for type_key, value in cursor.fetchall()]
    if named and any(check(named) for check in suppression_checks):
        message = "This person is being erased, or is suppressed and restricted: nothing can be joined or separated."
        raise BusyProfile(message)


def refuse_restricted(cursor: Any, profile_ids: Iterable[int], *, actor: str) -> None:
    """Refuse a change by hand of somebody whose processing is restricted.

    What the system does to carry out a request of the person itself still counts.

    Raises
    ------
    RestrictedProfile
        If one of the profiles is restricted.

    References
    ----------
    GDPR Art. 18(2): restricted data is stored, and processed for nothing but the exceptions named there.
    """
    if actor == SYSTEM_ACTOR:
        return
    cursor.execute(
        "SELECT EXISTS (SELECT FROM profiles_profile WHERE restricted AND id = ANY(%s::bigint[]))",
        [int_array(profile_ids)],
    )
    if cursor.fetchone()[0]:
        raise RestrictedProfile
