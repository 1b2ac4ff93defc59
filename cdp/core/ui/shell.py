"""Pages inside the shell: who looks, the frame around a page, and lists by cursor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from unfold.sites import UnfoldAdminSite

from cdp.core.access import Principal, need
from cdp.core.api.pagination import Cursor, Fetch, Key, decode_cursor, encode_cursor
from cdp.core.api.permissions import has_right_on, needed_right
from cdp.core.api.principal import principal_of

ROWS = 50
One = TypeVar("One", bound=Model)


class Frame(UnfoldAdminSite):
    """The shell around own pages: as the admin site, without its list of models and the rights asked for it."""

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:  # noqa: ARG002
        """Return nothing: the menu is `cdp.site.navigation`."""
        return []


frame = Frame(name="admin")


def signed_in(request: HttpRequest, *scopes: str) -> Principal:
    """Return who looks, and refuse unless they hold every scope.

    Raises
    ------
    NotAuthenticated
        If nobody is signed in.
    MissingScope
        Naming the scope.
    """
    principal = principal_of(request)
    for scope in scopes:
        need(principal, scope)
    return principal


def open_one(
    request: HttpRequest, find: Callable[[], One], scope: str, *, deletes: bool = False
) -> tuple[Principal, One]:
    """Return who looks and the object that the page is about.

    Parameters
    ----------
    find : callable
        Returns the object, or raises that there is none.
    scope : str
        What opens every object of the kind. Somebody without it needs the right on this very one: to view it for
        ``RESOURCE:read``, to change it for ``RESOURCE:write``.
    deletes : bool
        Whether the right to delete it is what is needed.

    Raises
    ------
    MissingScope
        Whether the object exists or not: who may not see it does not learn which.
    NotFound
        If it does not exist, to whoever could see it.
    """
    principal = signed_in(request)
    right = needed_right(scope, "DELETE" if deletes else "")
    if not principal.may(scope) and not has_right_on(principal, find, right=right):
        need(principal, scope)
    return principal, find()


def show_page(request: HttpRequest, template: str, *, title: str, status: int = 200, **context: Any) -> HttpResponse:
    """Answer a page in the frame of the shell; `may` tells templates what the person may do."""
    whole = {**frame.each_context(request), "title": title, "may": scopes_for_templates(request), **context}
    response = render(request, template, whole, status=status)
    # Pages hold personal data: nothing of them stays in a shared computer's cache.
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def show_part(request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    """Answer a piece of a page that htmx puts in its place."""
    response = render(request, template, {"may": scopes_for_templates(request), **context})
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def scopes_for_templates(request: HttpRequest) -> dict[str, bool]:
    """Return the scopes held, with underscores, for `{% if may.profiles_write %}`."""
    return {scope.replace(":", "_"): True for scope in principal_of(request).scopes}


@dataclass(frozen=True, slots=True)
class ListPage:
    """Rows of one page of a list and the relative addresses of its neighbours."""

    rows: list[Any]
    next: str | None
    previous: str | None


def read_list(request: HttpRequest, *, fetch: Fetch, key: Key, rows: int = ROWS) -> ListPage:
    """Read the page of a list that `?cursor=` names; other parameters stay in the addresses.

    Parameters
    ----------
    fetch, key
        As for `cdp.core.api.pagination.read_page`.
    rows : int
        How many rows a page has.

    Raises
    ------
    BadPage
        If the cursor is not one of this list.
    """
    text = request.GET.get("cursor")
    cursor = decode_cursor(text) if text else None
    found: Sequence[Any] = list(fetch(cursor, rows + 1))
    more = len(found) > rows
    found = list(found[:rows])
    backward = cursor is not None and cursor.backward
    if backward:
        found.reverse()
    has_next = bool(found) and (backward or more)
    has_previous = bool(found) and (more if backward else cursor is not None)
    return ListPage(
        rows=found,
        next=_address(request.GET, Cursor(key(found[-1]))) if has_next else None,
        previous=_address(request.GET, Cursor(key(found[0]), backward=True)) if has_previous else None,
    )


def _address(given: QueryDict, cursor: Cursor) -> str:
    query = given.copy()
    query["cursor"] = encode_cursor(cursor)
    return f"?{query.urlencode()}"
