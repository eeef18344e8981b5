"""The TLS side of connections: contexts, handshakes, STARTTLS, trust and verification."""

from services.prober.tls.contexts import Contexts
from services.prober.tls.groups import prefer
from services.prober.tls.handshake import (
    Handshake,
    presented_chain,
    refused_certificate,
)
from services.prober.tls.starttls import (
    WAYS,
    GarbledError,
    RefusedError,
    Way,
)
from services.prober.tls.trust_store import TrustStore
from services.prober.tls.verification import Trust

__all__ = [
    "WAYS",
    "Contexts",
    "GarbledError",
    "Handshake",
    "RefusedError",
    "Trust",
    "TrustStore",
    "Way",
    "prefer",
    "presented_chain",
    "refused_certificate",
]
