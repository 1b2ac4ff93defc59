"""Whether a certificate by which another side signs may be believed: chain, time, name.

References
----------
OpenDSR 2.0, section 8: issued by an authority, for the processor's domain, not signed by itself.
"""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError


def read_chain(pem: bytes) -> list[x509.Certificate]:
    """Return the certificates of a PEM text, the processor's own first; empty if it holds none."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        return []


def is_trusted(pem: bytes, *, domain: str, authorities: Sequence[x509.Certificate], now: datetime) -> bool:
    """Tell whether the first certificate is for the domain, valid now, and leads to one of the authorities.

    Notes
    -----
    That a text can be loaded as a certificate proves nothing: one that somebody signed for themselves, with the right
    name in it, is refused here. Revocation is not looked up.
    """
    chain = read_chain(pem)
    if not chain or not authorities:
        return False
    own, *between = chain
    verifier = PolicyBuilder().store(Store(list(authorities))).time(now).build_server_verifier(x509.DNSName(domain))
    try:
        verifier.verify(own, between)
    except VerificationError:
        return False
    return True
