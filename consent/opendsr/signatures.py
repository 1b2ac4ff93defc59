"""Signing answers and callbacks, and checking those of others: RSA PKCS#1 v1.5 with SHA-256 over the raw bytes.

References
----------
OpenDSR 2.0, section 8 (FIPS 186-4); what vendors send is RSA PKCS#1 v1.5 with SHA-256.
"""

import base64
import binascii
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

KEY_BITS = 2048
VALID_DAYS = 3650


def make_self_signed(*, domain: str, now: datetime) -> tuple[bytes, bytes]:
    """Return a new private key and a certificate for a domain, signed by itself, both as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    # A common name has 64 characters at most; the alternative name is what is checked.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)


def domains_of(certificate_pem: bytes) -> list[str]:
    """Return the domains that a certificate is for."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)


def sign(body: bytes, *, key_pem: bytes) -> str:
    """Return the signature over the exact bytes, in base64."""
    return base64.b64encode(_read_key(key_pem).sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()


@lru_cache(maxsize=4)
def _read_key(key_pem: bytes) -> rsa.RSAPrivateKey:
    """Return a private key. Reading checks its primes, which takes far longer than signing: once is enough."""
    key = serialization.load_pem_private_key(key_pem, password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        message = "The key of OpenDSR is an RSA key."
        raise TypeError(message)
    return key


def is_valid(body: bytes, *, signature: str, certificate_pem: bytes) -> bool:
    """Tell whether a signature was made with a certificate's key; RSA of 2048 bits or more, or ECDSA on P-256."""
    key = x509.load_pem_x509_certificate(certificate_pem).public_key()
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(key, rsa.RSAPublicKey) and key.key_size >= KEY_BITS:
            key.verify(raw, body, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
            key.verify(raw, body, ec.ECDSA(hashes.SHA256()))
        else:
            return False
    except (InvalidSignature, binascii.Error):
        return False
    return True
