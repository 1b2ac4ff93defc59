"""Opening sealed values: traits that are stored encrypted under keys of the person (docs/explanation/encryption.md).

A sealed value stands where the value would: ``{"$sealed": TEXT}``. TEXT is base64url of the identifier's id (8 bytes),
a nonce (12) and AES-256-GCM of the value's JSON. The nonce is a digest of the trait's name and the value under the same
key, so that the same statement looks the same and counts as no change.
"""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection

from cdp.core import master_keys
from cdp.core.access import SEALED
from cdp.core.copying import int_array
from profiles.sealed_models import SealedTrait

CONTEXT = "person"
ID_BYTES = 8
NONCE_BYTES = 12
NAMES = "SELECT name FROM profiles_sealedtrait WHERE opened_at IS NULL"
KEYS = "SELECT identifier_id, wrapped FROM profiles_personkey WHERE identifier_id = ANY(%s::bigint[])"
MARK = f'"{SEALED}"'
_SEALED = re.compile(r'\{"' + re.escape(SEALED) + r'": ?"([A-Za-z0-9_=-]+)"\}')


class PersonCipher:
    """Encrypts and decrypts the values that came with one identifier."""

    __slots__ = ("_cipher", "_id", "_key")

    def __init__(self, identifier_id: int, key: bytes) -> None:
        self._id = identifier_id.to_bytes(ID_BYTES, "big")
        self._key = key
        self._cipher = AESGCM(key)

    def seal(self, name: str, value: Any) -> dict[str, str]:
        """Return the sealed form of a trait's value; null stays what it is, for it unsets the trait."""
        plain = orjson.dumps(value)
        nonce = hmac.digest(self._key, name.encode() + b"\0" + plain, "sha256")[:NONCE_BYTES]
        body = self._id + nonce + self._cipher.encrypt(nonce, plain, self._id)
        return {SEALED: base64.urlsafe_b64encode(body).decode()}

    def open(self, body: bytes) -> bytes:
        """Return the JSON of the value."""
        nonce = body[ID_BYTES : ID_BYTES + NONCE_BYTES]
        return self._cipher.decrypt(nonce, body[ID_BYTES + NONCE_BYTES :], self._id)


def is_sealed(value: Any) -> bool:
    """Tell whether a value of a trait is in the sealed form."""
    return isinstance(value, dict) and SEALED in value


def read_sealed_names(cursor: Any) -> frozenset[str]:
    """Return the traits that are stored encrypted."""
    cursor.execute(NAMES)
    return frozenset(row[0] for row in cursor.fetchall())


def find_sealed_names() -> frozenset[str]:
    """Return the same, for interfaces."""
    with connection.cursor() as cursor:
        return read_sealed_names(cursor)


def list_sealed() -> list[SealedTrait]:
    """Return what is stored encrypted, by name."""
    return list(SealedTrait.objects.order_by("name"))


def read_ciphers(cursor: Any, identifier_ids: Collection[int]) -> dict[int, PersonCipher]:
    """Return the keys of identifiers, of those that have one, in one statement.

    Raises
    ------
    MasterKeyUnavailable
        If a key is under a master key that is not known.
    """
    if not identifier_ids:
        return {}
    cursor.execute(KEYS, [int_array(identifier_ids)])
    return {
        identifier_id: PersonCipher(identifier_id, master_keys.decrypt(bytes(wrapped), context=CONTEXT))
        for identifier_id, wrapped in cursor.fetchall()
    }


def open_texts(texts: Sequence[str | None]) -> list[str | None]:
    """Return JSON texts with sealed values replaced by what they hold, in one statement for all of them.

    A value whose key is gone, or that is no sealed value of ours, becomes null.
    """
    if not any(text is not None and MARK in text for text in texts):
        return list(texts)
    bodies: dict[str, bytes | None] = {}
    for text in texts:
        for found in _SEALED.findall(text or ""):
            if found not in bodies:
                bodies[found] = _decoded(found)
    owners = {int.from_bytes(body[:ID_BYTES], "big", signed=False) for body in bodies.values() if body is not None}
    with connection.cursor() as cursor:
        ciphers = read_ciphers(cursor, {owner for owner in owners if owner < 2**63})
    opened = {found: _opened(body, ciphers) for found, body in bodies.items()}
    return [text if text is None else _SEALED.sub(lambda match: opened[match[1]], text) for text in texts]


def open_values(values: Iterable[Any]) -> list[Any]:
    """Return JSON values with what is sealed in them opened."""
    # Not orjson: it refuses whole numbers of more than 64 bits, and 1e300 is read from the database as one.
    return [orjson.loads(text or "null") for text in open_texts([_written(one) for one in values])]


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _decoded(text: str) -> bytes | None:
    try:
        body = base64.urlsafe_b64decode(text)
    except (binascii.Error, ValueError):
        return None
    return body if len(body) > ID_BYTES + NONCE_BYTES else None


def _opened(body: bytes | None, ciphers: dict[int, PersonCipher]) -> str:
    cipher = ciphers.get(int.from_bytes(body[:ID_BYTES], "big")) if body is not None else None
    if body is None or cipher is None:
        return "null"
    try:
        return cipher.open(body).decode()
    except InvalidTag:
        return "null"
