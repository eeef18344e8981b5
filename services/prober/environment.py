"""What all probes of one prober share."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx

from services.prober.checks import WorkerPool
from services.prober.grpc import DescriptorCache
from services.prober.http import TokenCache
from services.prober.secrets import Secrets
from services.prober.transport import ConntrackTable, Outbound


@dataclass(slots=True)
class ProbeEnvironment:
    """The way out, secrets, cached tokens and descriptors, the conntrack table, and the worker pool.

    ``cookies`` are those of one journey, which has an environment of its own; None outside journeys.
    """

    outbound: Outbound = field(default_factory=Outbound)
    secrets: Secrets = field(default_factory=Secrets)
    tokens: TokenCache = field(default_factory=TokenCache)
    conntrack: ConntrackTable = field(default_factory=ConntrackTable)
    descriptors: DescriptorCache = field(default_factory=DescriptorCache)
    workers: WorkerPool = field(default_factory=WorkerPool)
    cookies: httpx.Cookies | None = field(default=None, repr=False)

    async def close(self) -> None:
        """End the worker processes, token requests and name queries."""
        await self.workers.close()
        await self.tokens.close()
        await self.outbound.resolver.close()
