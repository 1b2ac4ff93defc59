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
WRITING = ("post", "put", "patch", "delete")
PUBLIC = "public"
VIEW, CHANGE, DELETE = "view", "change", "delete"


def needed_scope(view: Any, method: str) -> str | None:
    """Return the scope that a view declares for a method.

    A view says ``scopes = {"GET": "profiles:read", "POST": "profiles:write"}``, or ``scope_resource = "profiles"``:
    reading for GET and HEAD, writing for the rest. HEAD counts as GET, and so does OPTIONS where there is a GET;
    else it is for whoever may do what there is. None: not declared.
    """
    if method == "OPTIONS" and not hasattr(view, "get"):
        method = next((name.upper() for name in WRITING if hasattr(view, name)), method)
    scopes: dict[str, str] = getattr(view, "scopes", None) or {}
    if method in scopes:
        return scopes[method]
    if method in READING and "GET" in scopes:
        return scopes["GET"]
    resource: str | None = getattr(view, "scope_resource", None)
    if resource is None:
        return None
    return f"{resource}:{'read' if method in READING else 'write'}"


def needed_right(scope: str, method: str) -> str:
    """Return the right on a single object that stands for a scope: what the scope lets one do, not how it is asked.

    A file that only those may fetch who may write is not given to whoever may view, though it is asked for by GET.
    """
    if scope.endswith(":read"):
        return VIEW
    return DELETE if method == "DELETE" else CHANGE


def has_object_right(principal: Principal, *, obj: Model, right: str) -> bool:
    """Tell whether a person has been given the right to view, change or delete this one object (django-guardian)."""
    if principal.user_id is None:
        return False
    user = User.objects.filter(pk=principal.user_id, is_active=True).first()
    if user is None:
        return False
    return f"{right}_{obj._meta.model_name}" in get_perms(user, obj)


def has_right_on(principal: Principal, find_object: Callable[[], Model], *, right: str) -> bool:
    """Tell whether an object may be used; one that does not exist gives no right, and so stays unknown."""
    if principal.user_id is None:
        return False
    try:
        obj = find_object()
    except (Http404, NotFound, ObjectDoesNotExist):
        return False
    return has_object_right(principal, obj=obj, right=right)


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
    right on that very object; `deletes_parts` says that DELETE takes something from it, which is a change of it. A view
    of a list may define ``permission_rows()``, the rows that the person was given a
    right on: then it may be read by whoever has any, and shows these alone.
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
        act = "" if getattr(view, "deletes_parts", False) else method
        if find_object is not None and has_right_on(principal, find_object, right=needed_right(scope, act)):
            return True
        find_rows = getattr(view, "permission_rows", None)
        if find_rows is not None and method in READING and principal.user_id is not None and find_rows().exists():
            return True
        message = f"This needs the scope {scope}."
        raise MissingScope(message)
