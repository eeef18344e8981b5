"""The TLS side of connections: contexts, handshakes, STARTTLS, trust and verification."""

from services.prober.tls.contexts import TlsContexts
from services.prober.tls.groups import restart_with_groups
from services.prober.tls.handshake import (
    Handshake,
    presented_chain,
    refused_certificate,
)
from services.prober.tls.starttls import (
    STARTTLS_PROTOCOLS,
    StartTlsProtocol,
    StartTlsRefusedError,
    StartTlsSyntaxError,
)
from services.prober.tls.trust_store import TrustStore
from services.prober.tls.verification import ChainVerifier

__all__ = [
    "STARTTLS_PROTOCOLS",
    "ChainVerifier",
    "Handshake",
    "StartTlsProtocol",
    "StartTlsRefusedError",
    "StartTlsSyntaxError",
    "TlsContexts",
    "TrustStore",
    "presented_chain",
    "refused_certificate",
    "restart_with_groups",
]
