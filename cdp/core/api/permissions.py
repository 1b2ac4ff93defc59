"""The one permission of REST: the scope that a view declares, or the right on a single object."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model
from django.http import Http404
from guardian.shortcuts import get_perms
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from cdp.core.access import LimitedToSources, MissingScope, Principal
from cdp.core.api.principal import principal_of
from cdp.core.errors import NotFound
from cdp.core.models import User

if TYPE_CHECKING:
    # DRF's views import this module while they are loading.
    from rest_framework.views import APIView

READING = frozenset({"GET", "HEAD", "OPTIONS"})
PUBLIC = "public"


def needed_scope(view: Any, method: str) -> str | None:
    """Return the scope that a view declares for a method.

    A view says ``scopes = {"GET": "profiles:read", "POST": "profiles:write"}``, or ``scope_resource = "profiles"``:
    reading for GET and HEAD, writing for the rest. HEAD and OPTIONS count as GET. None: not declared.
    """
    scopes: dict[str, str] = getattr(view, "scopes", None) or {}
    if method in scopes:
        return scopes[method]
    if method in READING and "GET" in scopes:
        return scopes["GET"]
    resource: str | None = getattr(view, "scope_resource", None)
    if resource is None:
        # A view that only writes still answers OPTIONS to whoever may write.
        return next(iter(scopes.values()), None) if method == "OPTIONS" else None
    return f"{resource}:{'read' if method in READING else 'write'}"


def has_object_right(principal: Principal, *, obj: Model, method: str) -> bool:
    """Tell whether a person has been given the right to view or change this one object (django-guardian)."""
    if principal.user_id is None:
        return False
    user = User.objects.filter(pk=principal.user_id, is_active=True).first()
    if user is None:
        return False
    action = {"DELETE": "delete"}.get(method, "view" if method in READING else "change")
    return f"{action}_{obj._meta.model_name}" in get_perms(user, obj)


def _has_right(principal: Principal, find_object: Callable[[], Model], *, method: str) -> bool:
    """Tell whether the view's object may be used; one that does not exist gives no right, and so stays unknown."""
    if principal.user_id is None:
        return False
    try:
        obj = find_object()
    except (Http404, NotFound, ObjectDoesNotExist):
        return False
    return has_object_right(principal, obj=obj, method=method)


def _check_source(principal: Principal, view: "APIView", scope: str) -> None:
    """Let a key that is limited to sources use only what is about one of them: their addresses, all named by `key`.

    Raises
    ------
    LimitedToSources
        For everything else, lists over all sources included.
    """
    if principal.sources is None:
        return
    if scope.startswith("sources:") and view.kwargs.get("key") in principal.sources:
        return
    message = f"This API key is limited to the sources {', '.join(sorted(principal.sources))}."
    raise LimitedToSources(message)


class HasScope(BasePermission):
    """Lets pass who holds the declared scope. A view that declares none lets nobody pass.

    A view of single objects may define ``permission_object()``: then a person without the scope passes who has the
    right on that very object.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Check the scope, then the object."""
        if getattr(request, "user", None) is None:
            return False
        principal = principal_of(request)
        method = request.method or ""
        scope = needed_scope(view, method)
        if scope is None:
            if method not in view.allowed_methods:
                return True
            message = "This address declares no scope, so nobody may use it."
            raise MissingScope(message)
        if principal.may(scope):
            _check_source(principal, view, scope)
            return True
        find_object = getattr(view, "permission_object", None)
        if find_object is not None and _has_right(principal, find_object, method=method):
            return True
        message = f"This needs the scope {scope}."
        raise MissingScope(message)
