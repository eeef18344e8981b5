"""What all probes of one prober share: names, egress rules, TLS, trust on their way out, and who judges."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import certifi
import httpx

from services.core.model import Egress
from services.prober.checks.worker_pool import Judges
from services.prober.grpc.descriptor_cache import Schemas
from services.prober.http.token_cache import Tokens
from services.prober.secrets import MissingSecretError, Secrets
from services.prober.tls.contexts import Contexts
from services.prober.tls.verification import Trust, read_certificates
from services.prober.transport.conntrack import TrackingTable
from services.prober.transport.egress import EgressRules
from services.prober.transport.resolver import Resolver

__all__ = ["Network", "TrustStore"]

# A replaced CA file is noticed within this many seconds.
_RECHECKED = 10.0


class TrustStore:
    """The trust of each TLS profile, read once and again when its file changes."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, int, Trust]] = {}
        self._facts_only = Trust(())

    def get(self, ca: str, *, verify: bool) -> Trust:
        """Return what a profile believes: ``ca`` is ``file:PATH``, empty for the system's. Raises MissingSecretError."""
        if not verify:
            return self._facts_only
        known = self._known.get(ca)
        now = self._clock()
        if known is not None and known[0] > now:
            return known[2]
        path = Path(ca.removeprefix("file:") if ca else _system_bundle())
        try:
            changed = path.stat().st_mtime_ns
            trust = (
                known[2] if known is not None and known[1] == changed else Trust(read_certificates(path.read_bytes()))
            )
        except (OSError, ValueError) as error:
            raise MissingSecretError(f"the authorities in {path.name} cannot be read: {error}") from error
        self._known[ca] = (now + _RECHECKED, changed, trust)
        return trust


def _system_bundle() -> str:
    return ssl.get_default_verify_paths().cafile or certifi.where()


@dataclass(slots=True)
class Network:
    """The way out of one prober. ``egress`` is replaced when the policy changes.

    ``cookies`` are those of one journey under way, which has a way out of its own; None outside journeys.
    """

    egress: EgressRules = field(default_factory=lambda: EgressRules(Egress()))
    resolver: Resolver = field(default_factory=Resolver)
    trust: TrustStore = field(default_factory=TrustStore)
    secrets: Secrets = field(default_factory=Secrets)
    contexts: Contexts = field(default_factory=Contexts)
    tokens: Tokens = field(default_factory=Tokens)
    tracking: TrackingTable = field(default_factory=TrackingTable)
    schemas: Schemas = field(default_factory=Schemas)
    judges: Judges = field(default_factory=Judges)
    cookies: httpx.Cookies | None = field(default=None, repr=False)

    async def close(self) -> None:
        """Let go of issuers, name servers and processes that judge."""
        await self.judges.close()
        await self.tokens.close()
        await self.resolver.close()
