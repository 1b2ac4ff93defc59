"""Whose restriction of processing it is, when a profile falls apart again."""

from collections.abc import Sequence

from cdp.core.registries import SplitPair
from consent.models import PrivacyRequest
from profiles.models import Identifier, Profile

Type = PrivacyRequest.Type
Status = PrivacyRequest.Status


def divide_restrictions(*, pairs: Sequence[SplitPair]) -> None:
    """Lift a restriction from the side of a split about which nobody asked for one.

    A side stays restricted if a request for restriction names one of its identifiers. Where no request tells which side
    was meant, both stay so.

    References
    ----------
    GDPR Art. 18.
    """
    ids = {profile_id for pair in pairs for profile_id in (pair.from_id, pair.to_id)}
    restricted = set(Profile.objects.filter(id__in=ids, restricted=True).values_list("id", flat=True))
    if not restricted:
        return
    done = PrivacyRequest.objects.filter(type=Type.RESTRICTION, status=Status.COMPLETED)
    asked = {
        (one["type"], one["value"]) for identities in done.values_list("identities", flat=True) for one in identities
    }
    held = Identifier.objects.filter(profile_id__in=restricted).values_list("profile_id", "type__key", "value")
    named = {profile_id for profile_id, type_key, value in held if (type_key, value) in asked}
    for pair in pairs:
        sides = {pair.from_id, pair.to_id}
        if sides <= restricted and sides & named:
            Profile.objects.filter(id__in=sides - named).update(restricted=False)
