"""Reading a pixel's query: a message as base64 JSON, or spelt out in flat fields.

References
----------
Segment HTTP API, pixel tracking (`data`); RudderStack pixel API (`/pixel/v1`, flat fields).
"""

import binascii
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qsl

import orjson

from ingestion.errors import NotJson
from ingestion.spec.limits import MAX_DEPTH

MAX_FIELDS = 1000
# Not part of the message: the key, and what keeps caches from answering.
NOT_FIELDS = frozenset({"writeKey", "data"})
_URL_SAFE = str.maketrans("-_ ", "+/+")


def read_pixel(query: str) -> tuple[bytes, str | None]:
    """Return the message that a pixel's query stands for, as JSON, and the write key.

    Parameters
    ----------
    query : str
        As in the address, percent-encoded.

    Returns
    -------
    tuple of bytes and str or None
        Of ``data`` as decoded, its alphabet standard or URL-safe, padded or not; else of the fields, where a dot nests
        (``properties.total=3``). The key is that of the query; None: look into the message.

    Raises
    ------
    NotJson
        The query has too many fields, or ``data`` is no base64.
    """
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        message = f"The query has more than {MAX_FIELDS} fields."
        raise NotJson(message) from None
    given = dict(reversed(fields))
    key = given.get("writeKey") or None
    data = given.get("data")
    if data:
        return _decode(data), key
    document: dict[str, Any] = {}
    for name, value in fields:
        if name not in NOT_FIELDS:
            _nest(document, name, value)
    return orjson.dumps(document), key


def _decode(data: str) -> bytes:
    text = data.strip().translate(_URL_SAFE).rstrip("=")
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        message = "`data` is not base64."
        raise NotJson(message) from None


def _nest(document: dict[str, Any], name: str, value: str) -> None:
    """Put a value where its dots lead; where they lead nowhere, under the whole name."""
    parts = name.split(".")
    place = document
    if all(parts) and len(parts) <= MAX_DEPTH:
        for part in parts[:-1]:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                document.setdefault(name, value)
                return
            place = inner
        name = parts[-1]
    place.setdefault(name, value)
