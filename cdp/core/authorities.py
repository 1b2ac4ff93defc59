"""The authorities whose certificates this installation believes: the system's, and its own beside them."""

import re
import ssl
import warnings
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from django.conf import settings

_ONE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def read_authorities() -> list[x509.Certificate]:
    """Return the certificates of the authorities, as `cdp.core.outgoing` believes them."""
    return list(_read(str(settings.CDP_OUTGOING_CA_FILE)))


@cache
def _read(ca_file: str) -> tuple[x509.Certificate, ...]:
    paths = ssl.get_default_verify_paths()
    system = [Path(paths.cafile)] if paths.cafile else sorted(Path(paths.capath).glob("*.pem")) if paths.capath else []
    own = [Path(ca_file)] if ca_file else []
    texts = dict.fromkeys(one for path in (*own, *system) for one in _ONE.findall(path.read_bytes()))
    return tuple(one for one in map(_load, texts) if one is not None)


def _load(pem: bytes) -> x509.Certificate | None:
    """Return a certificate; None for one of the system's old ones that is no proper certificate."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        try:
            return x509.load_pem_x509_certificate(pem)
        except (ValueError, CryptographyDeprecationWarning):
            return None
