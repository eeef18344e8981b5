"""The way out of one prober, shared by all its connections."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.core.model import Egress
from services.prober.tls import TlsContexts, TrustStore
from services.prober.transport.egress import EgressRules
from services.prober.transport.resolver import Resolver


@dataclass(slots=True)
class Outbound:
    """Egress rules, name resolution, trust anchors and TLS contexts. ``egress`` is replaced when the policy changes."""

    egress: EgressRules = field(default_factory=lambda: EgressRules(Egress()))
    resolver: Resolver = field(default_factory=Resolver)
    trust: TrustStore = field(default_factory=TrustStore)
    contexts: TlsContexts = field(default_factory=TlsContexts)
