"""Defines the contract of every kind of probe: what it is given and what it provides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from services.core.model import Probe
from services.core.settings import Settings
from services.prober.checks import WorkerPool
from services.prober.expected import Expectations
from services.prober.grpc import DescriptorCache
from services.prober.http import TokenCache
from services.prober.observation import Observation
from services.prober.secrets import References, Secrets
from services.prober.tls import TlsContexts, TrustStore
from services.prober.transport import ConntrackTable, Outbound, read_nat64


@dataclass(slots=True)
class ProbeEnvironment:
    """Outgoing connections, secrets, cached tokens and descriptors, the connection-tracking table, and the worker pool.

    ``cookies`` are those of one journey, which has an environment of its own; they are None outside journeys.
    ``provider`` is the agency whose answers are judged.
    """

    outbound: Outbound = field(default_factory=Outbound)
    secrets: Secrets = field(default_factory=Secrets)
    tokens: TokenCache = field(default_factory=TokenCache)
    conntrack: ConntrackTable = field(default_factory=ConntrackTable)
    descriptors: DescriptorCache = field(default_factory=DescriptorCache)
    workers: WorkerPool = field(default_factory=WorkerPool)
    cookies: httpx.Cookies | None = field(default=None, repr=False)
    provider: str = ""

    @classmethod
    def of(cls, settings: Settings, *folders: Path) -> ProbeEnvironment:
        """Return an environment in which a register may name what the settings allow, and files below ``folders``.

        Raises SettingsError.
        """
        references = References.of(settings, *folders)
        outbound = Outbound(
            trust=TrustStore(references), contexts=TlsContexts(references), nat64=read_nat64(settings.nat64)
        )
        return cls(outbound=outbound, secrets=Secrets(references), descriptors=DescriptorCache(references))

    async def close(self) -> None:
        """End the worker processes, token requests and name queries."""
        await self.workers.close()
        await self.tokens.close()
        await self.outbound.resolver.close()


@dataclass(frozen=True, slots=True)
class JourneyResult:
    """The observation of a journey, and the expectations of each step taken, with captured variables filled in."""

    observation: Observation
    expectations: tuple[Expectations, ...]


@dataclass(frozen=True, slots=True)
class ProbeKind:
    """A kind of probe: ``prepare`` builds a target once, ``probe`` probes it by a deadline.

    ``prepare(definition, target, params, environment)`` fills in the texts and raises MissingSecretError or ValueError.
    ``probe(built, deadline)`` takes the built target and monotonic seconds, and always ends by the deadline.
    """

    prepare: Callable[[Probe, str, Mapping[str, object], ProbeEnvironment], Any]
    probe: Callable[[Any, float], Awaitable[Observation | JourneyResult]]
