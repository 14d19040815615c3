"""A certificate authority of the stack's own, and a loopback certificate signed by it.

SnowflakeHook drops the connection's `protocol`, so the emulator must speak TLS; clients trust it through the bundle
that REQUESTS_CA_BUNDLE names: the authorities that were trusted before, plus ours.
"""

from __future__ import annotations

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
    """A new authority, a certificate chain for loopback that is valid for ten years, and its private key, all PEM."""
    import trustme

    now = datetime.now(UTC)  # noqa: TID251 - a certificate is valid from the real now
    authority = trustme.CA(organization_name="local stack", organization_unit_name="CA", path_length=0)
    issued = authority.issue_cert(
        "localhost",
        "127.0.0.1",
        common_name="localhost",
        organization_name="local stack",
        organization_unit_name="server",
        not_before=now - timedelta(days=1),
        not_after=now + _VALIDITY,
    )
    authority_pem = authority.cert_pem.bytes().decode()
    chain = "".join(blob.bytes().decode() for blob in issued.cert_chain_pems)
    return authority_pem, chain + authority_pem, issued.private_key_pem.bytes().decode()
