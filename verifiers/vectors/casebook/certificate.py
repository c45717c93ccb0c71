"""A certificate that an attacker makes for a key of its own."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from casebook.case import NOW


def certificate(key: rsa.RSAPrivateKey) -> str:
    """Returns a member of `x5c` (RFC 7515 section 4.1.6): the DER form in base64, not base64url."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "id.example.test")])
    start = datetime.fromtimestamp(NOW, timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start - timedelta(days=1))
        .not_valid_after(start + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(signed.public_bytes(serialization.Encoding.DER)).decode()
