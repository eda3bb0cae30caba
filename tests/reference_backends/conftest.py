"""Fixtures of the library's tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from reference_backends import SessionData


@pytest.fixture(scope="session")
def key() -> str:
    return "00112233445566778899aabbccddeeff" * 2


@pytest.fixture(scope="session")
def other_key() -> str:
    return "f" * 64


@pytest.fixture(scope="session")
def session() -> Callable[..., SessionData]:
    """Return a function that builds a session. It fills in the required fields."""

    def build(session_id: str = "s1", identity: str = "alice", **fields: Any) -> SessionData:
        required = {
            "server_url": "https://mcp.example",
            "transport_type": "sse",
            "callback_url": "https://app.example/callback",
            "created_at": 1_700_000_000_123,
        }
        return SessionData(**{"session_id": session_id, "identity": identity} | required | fields)

    return build


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and a self-signed certificate of 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    here = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return file
