"""Pages by position, not by number: constant cost at any depth, and no row twice while rows are added.

A cursor is the order's key of the row at the page's edge. It is opaque but not secret, and needs no signature: all it
can say is from where to read on, within what the caller may see anyway.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import orjson
from django.db.models import Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from cdp.core.api.json import dump
from cdp.core.errors import InvalidInput

if TYPE_CHECKING:
    # DRF's views import this module while they are loading.
    from rest_framework.views import APIView

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_CURSOR_CHARACTERS = 2048

type_tags: dict[str, Callable[[str], Any]] = {"t": datetime.fromisoformat, "d": date.fromisoformat}


class BadPage(InvalidInput):
    """`cursor` or `limit` is not usable."""

    code = "page.invalid"
    title = "This page does not exist"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins.

    Attributes
    ----------
    position : tuple
        The key of the row at the edge; it is not on the page itself.
    backward : bool
        False: rows after the position, in order. True: rows before it, nearest first.
    """

    position: tuple[Any, ...]
    backward: bool = False


Fetch = Callable[[Cursor | None, int], Sequence[Any]]
Key = Callable[[Any], tuple[Any, ...]]


def encode_cursor(cursor: Cursor) -> str:
    """Return the cursor as URL-safe text."""
    parts = [
        {"t": value.isoformat()}
        if isinstance(value, datetime)
        else {"d": value.isoformat()}
        if isinstance(value, date)
        else value
        for value in cursor.position
    ]
    return base64.urlsafe_b64encode(dump([int(cursor.backward), *parts])).rstrip(b"=").decode()


def decode_cursor(text: str) -> Cursor:
    """Read a cursor.

    Raises
    ------
    BadPage
        If it is not one that this product gave.
    """
    message = "The cursor is not one that this product gave. Start again without it."
    if len(text) > MAX_CURSOR_CHARACTERS:
        raise BadPage(message)
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
        if not isinstance(parts, list) or len(parts) < 2 or parts[0] not in {0, 1}:
            raise BadPage(message)
        position = tuple(_decode_part(part) for part in parts[1:])
    except (binascii.Error, ValueError, TypeError, KeyError) as error:
        raise BadPage(message) from error
    return Cursor(position=position, backward=bool(parts[0]))


def _decode_part(part: Any) -> Any:
    if isinstance(part, dict):
        ((tag, value),) = part.items()
        return type_tags[tag](value)
    if isinstance(part, str) and "\0" in part:
        raise ValueError(part)
    if isinstance(part, (str, int, float)) or part is None:
        return part
    raise TypeError(part)


def read_limit(request: Request) -> int:
    """Return how many rows a page has.

    Raises
    ------
    BadPage
        If `limit` is not a whole number from 1 to 1000.
    """
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        message = f"limit is a whole number from 1 to {MAX_LIMIT}."
        raise BadPage(message)
    return int(text)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one page and the addresses of its neighbours."""

    rows: list[Any]
    next: str | None
    previous: str | None

    def body(self, results: Sequence[Any]) -> dict[str, Any]:
        """Return the answer around the rows as they are shown."""
        return {"results": list(results), "next": self.next, "previous": self.previous}


def read_page(request: Request, *, fetch: Fetch, key: Key) -> Page:
    """Read the page that a request asks for.

    Parameters
    ----------
    fetch : callable (cursor, limit) -> rows
        At most `limit` rows after the cursor's position, in the list's order; before it and nearest first if the
        cursor is `backward`; the first ones if it is None.
    key : callable row -> tuple
        The values that the list is ordered by, unique together.
    """
    limit = read_limit(request)
    text = request.query_params.get("cursor")
    cursor = decode_cursor(text) if text else None
    rows = list(fetch(cursor, limit + 1))
    more = len(rows) > limit
    rows = rows[:limit]
    backward = cursor is not None and cursor.backward
    if backward:
        rows.reverse()
    has_next = bool(rows) and (backward or more)
    has_previous = bool(rows) and (more if backward else cursor is not None)
    return Page(
        rows=rows,
        next=_address(request, Cursor(key(rows[-1]))) if has_next else None,
        previous=_address(request, Cursor(key(rows[0]), backward=True)) if has_previous else None,
    )


def _address(request: Request, cursor: Cursor) -> str:
    return replace_query_param(request.build_absolute_uri(), "cursor", encode_cursor(cursor))


def paginate(request: Request, *, fetch: Fetch, key: Key, present: Callable[[Any], Any] | None = None) -> Response:
    """Answer a list from a plain query function; `present` turns one row into what is shown (see `read_page`)."""
    page = read_page(request, fetch=fetch, key=key)
    return Response(page.body([present(row) for row in page.rows] if present else page.rows))


def fetch_from(queryset: QuerySet[Any], *fields: str) -> Fetch:
    """Return `fetch` for a queryset, ordered by `fields`, each with `-` for descending.

    The fields hold no nulls and end with one that is unique.
    """

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[Any]:
        rows = queryset
        backward = False
        if cursor is not None:
            if len(cursor.position) != len(fields):
                message = "The cursor belongs to another list. Start again without it."
                raise BadPage(message)
            backward = cursor.backward
            rows = rows.filter(_beyond(fields, cursor))
        order = [_flip(field) for field in fields] if backward else list(fields)
        return list(rows.order_by(*order)[:limit])

    return fetch


def key_from(*fields: str) -> Key:
    """Return `key` for rows that carry the fields as attributes or, for mappings, as members."""
    names = [field.lstrip("-") for field in fields]

    def key(row: Any) -> tuple[Any, ...]:
        if isinstance(row, Mapping):
            return tuple(row[name] for name in names)
        return tuple(getattr(row, name) for name in names)

    return key


def _flip(field: str) -> str:
    return field[1:] if field.startswith("-") else f"-{field}"


def _beyond(fields: Sequence[str], cursor: Cursor) -> Q:
    """Say "comes after this position": (a beyond) or (a equal and b beyond) …, with a bound that an index can use."""
    condition = Q()
    equal = Q()
    for field, value in zip(fields, cursor.position, strict=True):
        name = field.lstrip("-")
        descending = field.startswith("-") != cursor.backward
        condition |= equal & Q(**{f"{name}__{'lt' if descending else 'gt'}": value})
        equal &= Q(**{name: value})
    first = fields[0].lstrip("-")
    descending = fields[0].startswith("-") != cursor.backward
    return Q(**{f"{first}__{'lte' if descending else 'gte'}": cursor.position[0]}) & condition


class KeysetPagination(BasePagination):
    """Pages of DRF's generic views: a view says ``keyset = ("-created_at", "-id")``; without it, by primary key."""

    page: Page

    def paginate_queryset(self, queryset: Any, request: Request, view: "APIView | None" = None) -> list[Any]:
        """Return the rows of the page."""
        fields: Sequence[str] = getattr(view, "keyset", ("pk",))
        self.page = read_page(request, fetch=fetch_from(queryset, *fields), key=key_from(*fields))
        return self.page.rows

    def get_paginated_response(self, data: Any) -> Response:
        """Return the page around the rows."""
        return Response(self.page.body(data))

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe a page for OpenAPI."""
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {"results": schema, "next": link, "previous": link},
        }

    def get_schema_operation_parameters(self, view: "APIView") -> list[dict[str, Any]]:  # noqa: ARG002
        """Describe `limit` and `cursor` for OpenAPI."""
        limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
        return [
            {"name": "limit", "in": "query", "required": False, "schema": limit},
            {"name": "cursor", "in": "query", "required": False, "schema": {"type": "string"}},
        ]
