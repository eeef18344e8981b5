"""What all probes of one prober share."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx

from services.prober.checks import WorkerPool
from services.prober.grpc import Schemas
from services.prober.http import Tokens
from services.prober.secrets import Secrets
from services.prober.transport import Outbound, TrackingTable

__all__ = ["ProbeEnvironment"]


@dataclass(slots=True)
class ProbeEnvironment:
    """The way out, and what is cached and pooled beside it: secrets, tokens, descriptors, judging processes.

    ``cookies`` are those of one journey under way, which has an environment of its own; None outside journeys.
    """

    outbound: Outbound = field(default_factory=Outbound)
    secrets: Secrets = field(default_factory=Secrets)
    tokens: Tokens = field(default_factory=Tokens)
    tracking: TrackingTable = field(default_factory=TrackingTable)
    schemas: Schemas = field(default_factory=Schemas)
    judges: WorkerPool = field(default_factory=WorkerPool)
    cookies: httpx.Cookies | None = field(default=None, repr=False)

    async def close(self) -> None:
        """End the judging processes, the token requests and the name queries under way."""
        await self.judges.close()
        await self.tokens.close()
        await self.outbound.resolver.close()
