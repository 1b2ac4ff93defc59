"""How small a group may be that is told of."""

from django.conf import settings

from cdp.core.access import Principal


def smallest_group(principal: Principal) -> int:
    """Return how many people a value must have to be named to somebody."""
    smallest: int = settings.CDP_SMALLEST_GROUP
    return 1 if principal.sees_personal_data else smallest
