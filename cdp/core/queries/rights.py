"""Which rows of a list somebody may see: all by a scope, or those that they were given a right on (django-guardian)."""

from typing import TypeVar

from django.db.models import Model, QuerySet
from guardian.models import UserObjectPermission
from guardian.shortcuts import get_objects_for_user

from cdp.core.access import Principal
from cdp.core.models import User

Row = TypeVar("Row", bound=Model)
ACTS = {"read": "view", "write": "change"}


def rows_within_rights(rows: QuerySet[Row], *, principal: Principal, scope: str) -> QuerySet[Row]:
    """Return those rows of a list that somebody may see, or change.

    Parameters
    ----------
    scope : str
        ``RESOURCE:read`` asks for the right to view, ``RESOURCE:write`` for the right to change. Who holds it gets
        every row; a person without it gets the rows that they were given; an API key without it gets none.
    """
    if principal.may(scope):
        return rows
    user = User.objects.filter(pk=principal.user_id or 0, is_active=True).first()
    if user is None:
        return rows.none()
    right = f"{ACTS[scope.rpartition(':')[2]]}_{rows.model._meta.model_name}"
    found: QuerySet[Row] = get_objects_for_user(user, right, klass=rows, with_superuser=False)
    return found


def kinds_given(*, user_id: int) -> frozenset[str]:
    """Return the kinds of objects (``segment``, ``source``, …) of which a person was given one to see."""
    held = UserObjectPermission.objects.filter(user_id=user_id, permission__codename__startswith="view_")
    return frozenset(held.values_list("content_type__model", flat=True))
