"""One request: inflating its body and finding its write key."""

import binascii
import zlib
from base64 import b64decode

from ingestion.errors import NotJson, TooLarge
from ingestion.spec.limits import MAX_REQUEST_BYTES

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_body(raw: bytes, content_encoding: str | None = None, *, limit: int = MAX_REQUEST_BYTES) -> bytes:
    """Return the body, inflated if it is gzip.

    Parameters
    ----------
    raw : bytes
        As received.
    content_encoding : str or None
        The header. Only what the bytes are counts: gzip without the label is inflated, and a label on plain JSON
        is ignored, because clients and proxies get it wrong both ways.
    limit : int
        In bytes, of the body as sent and as inflated.

    Raises
    ------
    TooLarge
        Over the limit. Never more than the limit is inflated.
    NotJson
        Broken gzip, or an encoding that is not supported.
    """
    if len(raw) > limit:
        raise _too_large(limit)
    if raw[:2] == _GZIP:
        return _inflate(raw, limit)
    if content_encoding and content_encoding.strip().lower() not in ("identity", "gzip", "x-gzip"):
        message = "This Content-Encoding is not supported; send plain JSON or gzip."
        raise NotJson(message)
    return raw[3:] if raw[:3] == _BYTE_ORDER_MARK else raw


def _inflate(raw: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    rest = raw
    while rest:
        inflater = zlib.decompressobj(wbits=31)
        try:
            part = inflater.decompress(rest, limit + 1 - size)
        except zlib.error:
            message = "The body says that it is gzip but cannot be inflated."
            raise NotJson(message) from None
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        if not inflater.eof:
            message = "The gzip body ends too early."
            raise NotJson(message)
        parts.append(part)
        rest = inflater.unused_data.lstrip(b"\0")
    body = b"".join(parts)
    return body[3:] if body[:3] == _BYTE_ORDER_MARK else body


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request is larger than {limit} bytes, as sent or inflated. Send smaller batches.")


def find_write_key(
    *, authorization: str | None = None, write_key_header: str | None = None, query_key: str | None = None
) -> str | None:
    """Find the write key outside the body.

    Parameters
    ----------
    authorization : str or None
        ``Basic`` with the key as user name, or ``Bearer`` with a key that starts with ``pk_`` or ``sk_``.
    write_key_header : str or None
        ``X-Write-Key``: the part before ``:``.
    query_key : str or None
        The query's ``writeKey``.

    Returns
    -------
    str or None
        The first that is present; None: look into the body (`Batch.write_key`).
    """
    if authorization:
        scheme, _, credentials = authorization.strip().partition(" ")
        scheme = scheme.lower()
        if scheme == "basic":
            key = _basic_user(credentials)
            if key:
                return key
        elif scheme == "bearer" and credentials.strip().startswith(("pk_", "sk_")):
            return credentials.strip()
    if write_key_header:
        key = write_key_header.partition(":")[0].strip()
        if key:
            return key
    return query_key or None


def _basic_user(credentials: str) -> str:
    try:
        return b64decode(credentials.strip(), validate=False).decode().partition(":")[0].strip()
    except (binascii.Error, ValueError):
        return ""
