"""What is known about people who sign in."""

from cdp.core.access import ADMINISTRATOR, ALL_SCOPES, ROLE_SCOPES, expand_scopes
from cdp.core.models import User


def roles_of(*, user: User) -> list[str]:
    """Return the roles of a person: the groups that carry a role's name."""
    if user.is_superuser:
        return [ADMINISTRATOR]
    names = user.groups.order_by("name").values_list("name", flat=True)
    return [name for name in names if name in ROLE_SCOPES]


def scopes_of(*, user: User) -> frozenset[str]:
    """Return the scopes of a person: those of all their roles, read afresh, so that changes hold at once."""
    if user.is_superuser:
        return ALL_SCOPES
    return expand_scopes(roles_of(user=user))


def has_administrator() -> bool:
    """Tell whether anybody can administer this installation."""
    people = User.objects.filter(is_active=True)
    return people.filter(is_superuser=True).exists() or people.filter(groups__name=ADMINISTRATOR).exists()
