"""Keyed digests: how identifiers and message ids are found without storing them in the clear.

The key is `CDP_SUPPRESSION_KEY`, which lives outside the database and in no backup. Digests of different kinds of
things never meet: each kind has its own derived key.
"""

import hashlib
import hmac
from functools import cache, lru_cache
from typing import Any

from django.conf import settings

LOOKUP_BYTES = 16
BLOCK_BYTES = 64  # of SHA-256


@cache
def derived_key(purpose: str) -> bytes:
    """Return the 32-byte key for one purpose, derived from the installation's suppression key."""
    root: str = settings.CDP_SUPPRESSION_KEY
    return hmac.digest(root.encode(), b"cdp:" + purpose.encode(), "sha256")


@cache
def _identifier_states() -> tuple[Any, Any]:
    """Return the two hash states of HMAC after its padded key.

    `hmac.digest` sets the key up anew each time, which costs three times as much as hashing an identifier.
    """
    key = derived_key("identifier").ljust(BLOCK_BYTES, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))
    return inner, outer


@lru_cache(maxsize=50_000)
def identifier_digest(type_key: str, value: str) -> bytes:
    """Return the 32-byte digest (HMAC-SHA-256) of a normalised identifier.

    Its first 16 bytes find the identifier row; all 32 are what a suppression stores.

    Parameters
    ----------
    type_key : str
        Identifier type, e.g. ``email``.
    value : str
        The value after normalisation.

    References
    ----------
    RFC 2104, section 4: the intermediate results of the padded key can be computed once.
    """
    inner, outer = _identifier_states()
    first = inner.copy()
    first.update(f"{type_key}\0{value}".encode())
    second = outer.copy()
    second.update(first.digest())
    digest: bytes = second.digest()
    return digest


def message_digest(message_id: str) -> bytes:
    """Return the 16-byte digest under which a message id is known for duplicates."""
    return hashlib.blake2b(message_id.encode(), key=derived_key("message"), digest_size=16).digest()
