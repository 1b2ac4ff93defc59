"""Documents that this installation signs, so that others can verify them without asking it.

A signed document is its own JSON with one member more, `proof`. The signature (Ed25519) covers the canonical JSON
(RFC 8785) of the document with its proof, the signature itself left out. So `jq` and `openssl` can verify it.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from cdp.core.digests import derived_key
from cdp.core.errors import CdpError

ALGORITHM = "Ed25519"
CANONICAL = "RFC 8785"
PROOF = "proof"
SIGNATURE = "signature"
LARGEST_INTEGER = 2**53 - 1  # what RFC 8785 promises to keep


class SignatureInvalid(CdpError):
    """A document is not what was signed, or nobody here signed it."""

    code = "signature.invalid"
    status = 400
    title = "The signature does not hold"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that others verify with; `id` is its RFC 7638 thumbprint, `x` the key itself (base64url)."""

    id: str
    x: str
    retired: bool

    @property
    def jwk(self) -> dict[str, str]:
        """Return the key as others' libraries read it (RFC 8037)."""
        return {"kty": "OKP", "crv": ALGORITHM, "x": self.x, "kid": self.id, "use": "sig", "alg": "EdDSA"}


def canonical_json(document: Any) -> bytes:
    """Return the one form of a document that is signed: sorted members, no spaces, UTF-8.

    Raises
    ------
    ValueError
        For a fraction, or an integer that JSON readers may round: these have no place in what is signed.

    References
    ----------
    RFC 8785 (JSON Canonicalization Scheme), of which this is the part without fractions.
    """
    return json.dumps(_ordered(document), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sign_document(document: Mapping[str, Any], *, purpose: str, now: datetime) -> dict[str, Any]:
    """Return the document with its proof.

    Parameters
    ----------
    document : mapping
        JSON without fractions; it must not have a proof yet.
    purpose : str
        What the signature vouches for, e.g. ``consent_receipt``: one kind of document cannot pass for another.
    now : datetime
        Goes into the proof.
    """
    if PROOF in document:
        message = "the document has a proof already"
        raise ValueError(message)
    key = current_key()
    proof = {
        "type": ALGORITHM,
        "canonicalization": CANONICAL,
        "purpose": purpose,
        "created_at": now.astimezone(UTC).isoformat(timespec="milliseconds"),
        "key_id": key.id,
        "public_key": key.x,
        "keys_url": f"{settings.CDP_BASE_URL}/.well-known/cdp-signing-keys.json",
    }
    signature = sign_bytes(canonical_json({**document, PROOF: proof}))
    return {**document, PROOF: {**proof, SIGNATURE: base64.b64encode(signature).decode()}}


def verify_document(
    document: Mapping[str, Any], *, purpose: str | None = None, public_keys: list[str] | None = None
) -> PublicKey:
    """Return the key that signed the document.

    Parameters
    ----------
    purpose : str, optional
        None takes any.
    public_keys : list of str, optional
        Keys (base64url) that are trusted; None means those that this installation publishes.

    Raises
    ------
    SignatureInvalid
        With a sentence that says what is wrong, and nothing of the document.
    """
    proof = document.get(PROOF)
    if not isinstance(proof, Mapping) or not isinstance(proof.get(SIGNATURE), str):
        message = "The document carries no signature."
        raise SignatureInvalid(message)
    if proof.get("type") != ALGORITHM or proof.get("canonicalization") != CANONICAL:
        message = f"The proof is not one by {ALGORITHM} over {CANONICAL}."
        raise SignatureInvalid(message)
    if purpose is not None and proof.get("purpose") != purpose:
        message = f"The document is signed as something else than {purpose}."
        raise SignatureInvalid(message)
    trusted = [read_public_key(x) for x in public_keys] if public_keys is not None else published_keys()
    key = next((one for one in trusted if one.x == proof.get("public_key")), None)
    if key is None:
        message = "The key that signed the document is none of those that are trusted."
        raise SignatureInvalid(message)
    bare = {name: value for name, value in proof.items() if name != SIGNATURE}
    try:
        signature = base64.b64decode(proof[SIGNATURE], validate=True)
        signed = canonical_json({**document, PROOF: bare})
        Ed25519PublicKey.from_public_bytes(_decode(key.x)).verify(signature, signed)
    except (InvalidSignature, ValueError) as error:
        message = "The document is not what was signed."
        raise SignatureInvalid(message) from error
    return key


def sign_bytes(data: bytes) -> bytes:
    """Return the 64-byte signature over some bytes under the installation's key."""
    return _private_key(settings.CDP_SIGNING_KEY, settings.CDP_SUPPRESSION_KEY).sign(data)


def current_key() -> PublicKey:
    """Return the public half of the key that signs now."""
    public = _private_key(settings.CDP_SIGNING_KEY, settings.CDP_SUPPRESSION_KEY).public_key()
    return read_public_key(_encode(public.public_bytes_raw()))


def published_keys() -> list[PublicKey]:
    """Return the key that signs now, then those that signed before."""
    now = current_key()
    before = [read_public_key(x, retired=True) for x in settings.CDP_SIGNING_KEYS_RETIRED]
    return [now, *(key for key in before if key.x != now.x)]


def current_pem() -> bytes:
    """Return the public half of the key that signs now as OpenSSL reads it."""
    public = _private_key(settings.CDP_SIGNING_KEY, settings.CDP_SUPPRESSION_KEY).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public_key(x: str, *, retired: bool = False) -> PublicKey:
    """Return a key from its base64url form.

    Raises
    ------
    SignatureInvalid
        If it is no Ed25519 key.
    """
    try:
        raw = _decode(x.strip())
        Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        message = "That is no Ed25519 public key (32 bytes as base64url)."
        raise SignatureInvalid(message) from error
    plain = _encode(raw)
    thumbprint = Hash(SHA256())
    thumbprint.update(canonical_json({"crv": ALGORITHM, "kty": "OKP", "x": plain}))
    return PublicKey(id=_encode(thumbprint.finalize()), x=plain, retired=retired)


@lru_cache(maxsize=4)
def _private_key(signing_key: str, suppression_key: str) -> Ed25519PrivateKey:
    """Return the key made from the secret; the second argument only tells the cache when the fallback changes."""
    del suppression_key
    secret = signing_key.encode() if signing_key else derived_key("signing")
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"cdp:signing").derive(secret)
    return Ed25519PrivateKey.from_private_bytes(seed)


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        # RFC 8785 sorts by UTF-16 code units, which differs from Python's order beyond the first plane.
        return {name: _ordered(value[name]) for name in sorted(value, key=lambda name: name.encode("utf-16-be"))}
    if isinstance(value, list | tuple):
        return [_ordered(one) for one in value]
    if isinstance(value, float) or (isinstance(value, int) and abs(value) > LARGEST_INTEGER):
        message = "what is signed holds no fractions and no integers beyond 2^53"
        raise ValueError(message)
    return value


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
