"""Sealing of secrets that the product must be able to read again: AES-256-GCM under the master key."""

from functools import lru_cache

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from cdp.core import master_keys

# The first byte tells how it is sealed: under a key of the secret key, as early installations did, or of a master key.
UNDER_SECRET_KEY = b"\x01"
UNDER_MASTER_KEY = b"\x02"
NONCE_BYTES = 12


def seal(value: bytes, *, context: str) -> bytes:
    """Encrypt `value`; `context` names its use, and only the same context opens it.

    Notes
    -----
    The context stands in the clear at the beginning, so that everything can be sealed anew without knowing its use.
    """
    name = context.encode()
    return UNDER_MASTER_KEY + bytes([len(name)]) + name + master_keys.encrypt(value, context=f"seal:{context}")


def unseal(sealed: bytes, *, context: str) -> bytes:
    """Decrypt what `seal` made.

    Raises
    ------
    cryptography.exceptions.InvalidTag
        If the key, the context or the bytes are not those of the sealing.
    MasterKeyUnavailable
        If its master key is not known.
    """
    body = bytes(sealed)
    if body[:1] == UNDER_MASTER_KEY:
        _, rest = _divide(body)
        return master_keys.decrypt(rest, context=f"seal:{context}")
    if body[:1] != UNDER_SECRET_KEY:
        message = "sealed value has an unknown format"
        raise ValueError(message)
    cipher = _early_cipher(settings.SECRET_KEY, context)
    return cipher.decrypt(body[1 : 1 + NONCE_BYTES], body[1 + NONCE_BYTES :], context.encode())


def seal_anew(sealed: bytes) -> bytes | None:
    """Return the same under the current master key; None if it is so already, or was sealed by an early release."""
    body = bytes(sealed)
    if body[:1] != UNDER_MASTER_KEY:
        return None
    context, rest = _divide(body)
    if rest.startswith(master_keys.current_master_key().id):
        return None
    return seal(master_keys.decrypt(rest, context=f"seal:{context}"), context=context)


def _divide(body: bytes) -> tuple[str, bytes]:
    begin = 2 + body[1]
    return body[2:begin].decode(), body[begin:]


@lru_cache(maxsize=32)
def _early_cipher(secret: str, context: str) -> AESGCM:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"cdp:seal:" + context.encode())
    return AESGCM(hkdf.derive(secret.encode()))
