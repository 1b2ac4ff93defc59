"""People of whom this app knows what no event tells."""

from collections.abc import Sequence

from consent.models import Decision, PrivacyRequest
from profiles.models import Profile


def find_anchored(profile_ids: Sequence[int]) -> set[int]:
    """Return those who decided about consent, have a privacy request, or whose processing is restricted."""
    wanted = set(profile_ids)
    found = set(Decision.objects.filter(profile_id__in=wanted).values_list("profile_id", flat=True))
    found |= set(Profile.objects.filter(id__in=wanted, restricted=True).values_list("id", flat=True))
    for ids in PrivacyRequest.objects.filter(profile_ids__overlap=list(wanted)).values_list("profile_ids", flat=True):
        found |= wanted.intersection(ids)
    return found
