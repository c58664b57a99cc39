"""TLS on loopback: certificates for tests alone, and who trusts them."""

from __future__ import annotations

import ssl
from pathlib import Path

CERTIFICATES = Path(__file__).parent / "certificates"
"""All of one key: `localhost`, `other` (another name), `expired`. They protect nothing."""


def showing(name: str) -> ssl.SSLContext:
    """A server that shows the certificate of that name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem", CERTIFICATES / "key.pem")
    return context


def trusting(*names: str) -> ssl.SSLContext:
    """A client that trusts these certificates, and no others."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in names:
        context.load_verify_locations(CERTIFICATES / f"{name}.pem")
    return context
