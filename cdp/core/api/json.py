"""JSON in and out: exact, finite, storable.

Out: times in UTC with `Z`, milliseconds, and microseconds where there are any, so that a time read here and sent back
means the same moment. In: what PostgreSQL or another client could not hold is refused with a sentence.
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import IO, Any

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.utils.functional import Promise
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from cdp.core.errors import InvalidInput

MAX_DEPTH = 64
INTEGER_LIMITS = (-(2**63), 2**64 - 1)
EXACT_FLOAT = 2.0**53
OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS


class BadJson(InvalidInput):
    """The body is not JSON that can be stored exactly."""

    code = "json.invalid"
    title = "The body is not valid JSON"


def format_time(moment: datetime) -> str:
    """Return ISO 8601 in UTC, with milliseconds at least."""
    precise = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.astimezone(UTC).isoformat(timespec=precise).removesuffix("+00:00") + "Z"


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(type(value).__name__)


def dump(value: Any) -> bytes:
    """Return compact UTF-8 JSON."""
    return orjson.dumps(value, default=_default, option=OPTIONS)


def load(raw: bytes) -> Any:
    """Read a JSON body strictly.

    Raises
    ------
    BadJson
        For malformed JSON, NaN, infinite numbers, integers outside 64 bits, lone surrogates, NUL characters and
        nesting deeper than 64.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        message = f"The body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise BadJson(message) from error
    if _check(value):
        _check_integers(raw)
    return value


def read_or_none(raw: bytes) -> Any:
    """Read JSON as `load` does; None for what it would refuse."""
    try:
        return load(raw)
    except BadJson:
        return None


def _check(root: Any) -> bool:
    """Refuse NUL and deep nesting; tell whether a number may have lost digits on the way."""
    rounded = False
    level = [root]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH + 1:
            message = f"The body is nested deeper than {MAX_DEPTH} levels."
            raise BadJson(message)
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, float):
                rounded = rounded or abs(value) >= EXACT_FLOAT
            elif isinstance(value, dict):
                for name in value:
                    _check_text(name)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
        level = below
    return rounded


def _check_text(value: str) -> None:
    if "\0" in value:
        message = "A text holds the NUL character, which cannot be stored."
        raise BadJson(message)


def _check_integers(raw: bytes) -> None:
    """Refuse integers outside 64 bits: the fast reader turns them into rounded floats."""

    def check(digits: str) -> int:
        # 20 characters hold every 64-bit integer with its sign; the length is checked first, since reading thousands
        # of digits is slow or refused by Python.
        if len(digits) > 20 or not INTEGER_LIMITS[0] <= int(digits) <= INTEGER_LIMITS[1]:
            message = "An integer does not fit into 64 bits; send it as a text."
            raise BadJson(message)
        return int(digits)

    json.loads(raw, parse_int=check)


class JsonRenderer(BaseRenderer):
    """Writes answers."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,  # noqa: ARG002 - DRF's signature
        renderer_context: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> bytes:
        """Return the body; an empty one for None."""
        return b"" if data is None else dump(data)


class JsonParser(BaseParser):
    """Reads bodies."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - DRF's signature
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        """Return the value; larger bodies than the installation allows are refused unread."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            message = f"The body is larger than {limit} bytes."
            raise RequestDataTooBig(message)
        return load(raw)
