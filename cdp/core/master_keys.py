"""Master keys: what the keys of persons and the product's own secrets are encrypted under.

One is current, the others are retired and only open what is not encrypted anew yet. They come from the environment, or
from a command that asks a key management service (docs/explanation/encryption.md). Each is known by four bytes of a
digest, which stand before everything that it encrypted.
"""

import os
import shlex
import subprocess
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from cdp.core.errors import CdpError

ID_BYTES = 4
NONCE_BYTES = 12
COMMAND_SECONDS = 30
SHORTEST = 40


class MasterKeyUnavailable(CdpError):
    """A master key is needed and cannot be had."""

    code = "master_key.unavailable"
    status = 503
    title = "A key is missing"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One master key; `id` tells it apart from the others and says nothing about it."""

    id: bytes
    secret: bytes

    def __repr__(self) -> str:
        """Never show a secret in a log or a traceback."""
        return f"MasterKey({self.id.hex()})"


def current_master_key() -> MasterKey:
    """Return the key that encrypts.

    Raises
    ------
    MasterKeyUnavailable
        If the command that should print the keys does not.
    """
    return _known_keys()[0]


def encrypt(value: bytes, *, context: str) -> bytes:
    """Encrypt under the current key: its id, a nonce, AES-256-GCM. `context` names the use; only the same opens it."""
    key = current_master_key()
    nonce = os.urandom(NONCE_BYTES)
    return key.id + nonce + _cipher(key.secret, context).encrypt(nonce, value, context.encode())


def decrypt(encrypted: bytes, *, context: str) -> bytes:
    """Open what `encrypt` made, under whichever key.

    Raises
    ------
    MasterKeyUnavailable
        If the key is not among those known.
    cryptography.exceptions.InvalidTag
        If the context or the bytes are not those of the encryption.
    """
    body = bytes(encrypted)
    wanted, nonce, rest = body[:ID_BYTES], body[ID_BYTES : ID_BYTES + NONCE_BYTES], body[ID_BYTES + NONCE_BYTES :]
    for key in _known_keys():
        if key.id == wanted:
            return _cipher(key.secret, context).decrypt(nonce, rest, context.encode())
    message = f"The master key {wanted.hex()} is not known here. Add it to CDP_MASTER_KEYS_RETIRED."
    raise MasterKeyUnavailable(message)


def _known_keys() -> tuple[MasterKey, ...]:
    return _read_keys(
        settings.CDP_MASTER_KEY,
        tuple(settings.CDP_MASTER_KEYS_RETIRED),
        settings.CDP_MASTER_KEY_COMMAND,
        settings.SECRET_KEY,
    )


@lru_cache(maxsize=4)
def _read_keys(given: str, retired: tuple[str, ...], command: str, secret_key: str) -> tuple[MasterKey, ...]:
    secrets = [*_ask(command), given, *retired] if command else [given, *retired]
    # Last: what was encrypted before there was a master key is under one that comes from the secret key.
    secrets.append(secret_key)
    return tuple(_derived(secret.encode()) for secret in dict.fromkeys(filter(None, secrets)))


def _ask(command: str) -> list[str]:
    """Return the keys that the command prints, one a line, the current one first."""
    message = "CDP_MASTER_KEY_COMMAND must print the master keys, one a line, each of 40 or more characters."
    try:
        answer = subprocess.run(
            shlex.split(command), check=True, capture_output=True, text=True, timeout=COMMAND_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise MasterKeyUnavailable(message) from error
    keys = answer.stdout.split()
    if not keys or min(map(len, keys)) < SHORTEST:
        raise MasterKeyUnavailable(message)
    return keys


def _derived(secret: bytes) -> MasterKey:
    own = HKDF(algorithm=SHA256(), length=32 + ID_BYTES, salt=None, info=b"cdp:master").derive(secret)
    return MasterKey(own[32:], own[:32])


@lru_cache(maxsize=64)
def _cipher(secret: bytes, context: str) -> AESGCM:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"cdp:under-master:" + context.encode())
    return AESGCM(hkdf.derive(secret))
