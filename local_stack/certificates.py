"""A certificate authority of the stack's own, and a loopback certificate signed by it.

SnowflakeHook drops the connection's `protocol`, so the emulator must speak TLS; clients trust it through the bundle
that REQUESTS_CA_BUNDLE names: the authorities that were trusted before, plus ours.
"""

from __future__ import annotations

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local_stack.home import Home, write_private

_VALIDITY = timedelta(days=3650)


def certificate_file(home: Home) -> Path:
    """The server's certificate chain, PEM."""
    return home.tls / "cert.pem"


def key_file(home: Home) -> Path:
    """The server's private key, PEM, readable by its owner only."""
    return home.tls / "key.pem"


def authority_file(home: Home) -> Path:
    """The stack's certificate authority alone, PEM."""
    return home.tls / "ca.pem"


def bundle_file(home: Home) -> Path:
    """Every authority that clients should trust, ours included: what REQUESTS_CA_BUNDLE names."""
    return home.tls / "ca-bundle.pem"


def ensure(home: Home, *, trusts_others: bool = True) -> None:
    """Create authority, certificate and bundle unless they are there; the authority's own key is never stored.

    Without the other authorities nothing but the stack can be reached, and every connection reads one certificate
    instead of some hundred: 8 ms of processor time instead of 21 for Snowflake's client.
    """
    if all(file.exists() for file in (certificate_file(home), key_file(home), bundle_file(home))):
        return
    home.tls.mkdir(exist_ok=True, mode=0o700)
    authority, chain, key = _issue()
    write_private(key_file(home), key)
    authority_file(home).write_text(authority)
    certificate_file(home).write_text(chain)
    trusted = f"{_trusted_before(home)}\n{authority}" if trusts_others else authority
    bundle_file(home).write_text(trusted)  # last: it marks the set as complete


def _trusted_before(home: Home) -> str:
    """The bundle that this machine uses already (a company's proxy may need it), else certifi's."""
    import certifi

    for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        configured = Path(os.environ.get(variable) or certifi.where())
        is_from_a_stack = (configured.parent / "ca.pem").exists()
        if configured.is_file() and not is_from_a_stack and home.path not in configured.parents:
            return configured.read_text()
    return Path(certifi.where()).read_text()


def _issue() -> tuple[str, str, str]:
    """A new authority, a certificate chain for loopback, and its private key, all PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def builder(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)  # noqa: TID251 - a certificate is valid from the real now
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("local stack CA"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + _VALIDITY)
        )

    authority_key = ec.generate_private_key(ec.SECP256R1())
    signs_certificates = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    authority = (
        builder("local stack CA", authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signs_certificates, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        builder("localhost", key)
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    authority_pem = authority.public_bytes(pem).decode()
    return authority_pem, certificate.public_bytes(pem).decode() + authority_pem, private
