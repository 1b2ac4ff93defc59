"""The key and certificate by which controllers know this processor (OpenDSR)."""

import base64
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from cdp.core.errors import Unavailable
from cdp.core.signing import current_key
from consent.opendsr.signatures import domains_of, make_self_signed, sign

KEY_NAME = "opendsr.pem"


class NoCertificate(Unavailable):
    """Production without a certificate of an authority."""

    code = "opendsr.no_certificate"

    def __init__(self) -> None:
        super().__init__("Set CDP_OPENDSR_KEY_FILE and CDP_OPENDSR_CERTIFICATE_FILE: OpenDSR needs a certificate.")


@dataclass(frozen=True, slots=True)
class ProcessorKey:
    """A private key and its certificate, as PEM."""

    key_pem: bytes
    certificate_pem: bytes

    def __repr__(self) -> str:
        """Never show a key in a log."""
        return "ProcessorKey(…)"

    def sign(self, body: bytes) -> str:
        """Return the signature of an answer, in base64."""
        return sign(body, key_pem=self.key_pem)


def processor_domain() -> str:
    """Return the domain that this processor speaks for: that of `CDP_BASE_URL`."""
    return urlsplit(settings.CDP_BASE_URL).hostname or settings.CDP_HOST


def public_webhook_key() -> str:
    """Return the key with which callbacks are checked for repetition (Standard Webhooks, ``whpk_…``)."""
    x = current_key().x
    return f"whpk_{base64.b64encode(base64.urlsafe_b64decode(x + '=' * (-len(x) % 4))).decode()}"


def read_processor_key(*, now: datetime) -> ProcessorKey:
    """Return the key that the settings name; in development one of our own, made when it is first needed.

    Raises
    ------
    NoCertificate
        In production, where the settings name none: the specification forbids certificates signed by themselves.
    """
    if settings.CDP_OPENDSR_KEY_FILE and settings.CDP_OPENDSR_CERTIFICATE_FILE:
        key, certificate = Path(settings.CDP_OPENDSR_KEY_FILE), Path(settings.CDP_OPENDSR_CERTIFICATE_FILE)
        return ProcessorKey(key.read_bytes(), certificate.read_bytes())
    if settings.PRODUCTION:
        raise NoCertificate
    folder = settings.CDP_DATA_DIR / "keys"
    path = folder / KEY_NAME
    found = _read(path)
    if found is None or processor_domain() not in domains_of(found.certificate_pem):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_pem, certificate_pem = make_self_signed(domain=processor_domain(), now=now)
        _write(path, key_pem + certificate_pem)
        found = _read(path)
    if found is None:
        raise NoCertificate
    return found


def _read(path: Path) -> ProcessorKey | None:
    """Read key and certificate from one file, so that two processes never see halves of different pairs."""
    if not path.exists():
        return None
    key, mark, certificate = path.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
    return ProcessorKey(key, mark + certificate) if mark else None


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.replace(path)
