"""Handles the TLS side of connections: contexts, handshakes, STARTTLS, trust and verification."""

from services.prober.tls.contexts import TlsContexts, TrustStore
from services.prober.tls.groups import restart_with_groups
from services.prober.tls.handshake import Handshake, handshake_failure, read_failure
from services.prober.tls.starttls import STARTTLS_PROTOCOLS, StartTlsError, StartTlsProtocol

__all__ = [
    "STARTTLS_PROTOCOLS",
    "Handshake",
    "StartTlsError",
    "StartTlsProtocol",
    "TlsContexts",
    "TrustStore",
    "handshake_failure",
    "read_failure",
    "restart_with_groups",
]
