"""Keyed digests: how identifiers and message ids are found without storing them in the clear.

The key is `CDP_SUPPRESSION_KEY`, which lives outside the database and in no backup. Digests of different kinds of
things never meet: each kind has its own derived key.
"""

import hashlib
import hmac
from functools import cache

from django.conf import settings

LOOKUP_BYTES = 16


@cache
def derived_key(purpose: str) -> bytes:
    """Return the 32-byte key for one purpose, derived from the installation's suppression key."""
    root: str = settings.CDP_SUPPRESSION_KEY
    return hmac.digest(root.encode(), b"cdp:" + purpose.encode(), "sha256")


def identifier_digest(type_key: str, value: str) -> bytes:
    """Return the 32-byte digest of a normalised identifier.

    Its first 16 bytes find the identifier row; all 32 are what a suppression stores.

    Parameters
    ----------
    type_key : str
        Identifier type, e.g. ``email``.
    value : str
        The value after normalisation.
    """
    return hmac.digest(derived_key("identifier"), f"{type_key}\0{value}".encode(), "sha256")


def message_digest(message_id: str) -> bytes:
    """Return the 16-byte digest under which a message id is known for duplicates."""
    return hashlib.blake2b(message_id.encode(), key=derived_key("message"), digest_size=16).digest()
