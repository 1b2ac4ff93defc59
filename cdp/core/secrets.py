"""Sealing of secrets that the product must be able to read again: AES-256-GCM under a key from the environment."""

import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

FORMAT = b"\x01"
NONCE_BYTES = 12


def _key(context: str) -> bytes:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"cdp:seal:" + context.encode())
    secret: str = settings.SECRET_KEY
    return hkdf.derive(secret.encode())


def seal(value: bytes, *, context: str) -> bytes:
    """Encrypt `value`; `context` names its use, and only the same context opens it.

    Notes
    -----
    The first byte is the format, so that keys per person can be added without moving data
    (docs/decisions/0007-sensitive-values.md).
    """
    nonce = os.urandom(NONCE_BYTES)
    return FORMAT + nonce + AESGCM(_key(context)).encrypt(nonce, value, context.encode())


def unseal(sealed: bytes, *, context: str) -> bytes:
    """Decrypt what `seal` made.

    Raises
    ------
    cryptography.exceptions.InvalidTag
        If the key, the context or the bytes are not those of the sealing.
    """
    body = bytes(sealed)
    if body[:1] != FORMAT:
        message = "sealed value has an unknown format"
        raise ValueError(message)
    return AESGCM(_key(context)).decrypt(body[1 : 1 + NONCE_BYTES], body[1 + NONCE_BYTES :], context.encode())
