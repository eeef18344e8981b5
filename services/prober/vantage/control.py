"""Control targets: what a vantage must always reach. If one fails, the vantage is at fault (docs/design.md §3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic

from services.core.model import Probe, Tls
from services.prober.environment import ProbeEnvironment
from services.prober.kinds import build_http_target, prepare_tcp, probe_http, probe_tcp
from services.prober.observation import Observation

CONTROL_SECONDS = 0.5
"""How often control targets are checked. A measurement waits for the round after its probe and for the flush after that,
and must be published within FLUSH_SECONDS: one interval, one round, one flush and one fsync fit into them."""

CONTROL_TIMEOUT = 1.0
"""Seconds that a control target has. A slower one fails its round: what it would release is UNKNOWN either way."""

_HTTP = Probe("control", "http", tls=Tls(verify=False), redirects="none", body_limit=1 << 16)
_TCP = Probe("control", "tcp")


class ControlTargets:
    """The control targets of one vantage: ``http(s)://`` (any answer passes) and ``tcp://host:port`` (connecting does).

    Raises ValueError for one that cannot be checked.
    """

    def __init__(self, targets: tuple[str, ...], environment: ProbeEnvironment) -> None:
        self._probes: dict[str, Callable[[float], Awaitable[Observation]]] = {}
        for url in targets:
            if url.lower().startswith("tcp:"):
                self._probes[url] = partial(probe_tcp, prepare_tcp(_TCP, url, {}, environment))
            else:
                self._probes[url] = partial(probe_http, build_http_target(_HTTP, url, environment))

    def __len__(self) -> int:
        """Return how many control targets there are."""
        return len(self._probes)

    async def check(self) -> dict[str, str]:
        """Check each once; return those that failed, with the problem. Empty means that the vantage sees."""
        deadline = monotonic() + CONTROL_TIMEOUT
        observations = await asyncio.gather(*(probe(deadline) for probe in self._probes.values()))
        return {
            url: seen.failure.detail
            for url, seen in zip(self._probes, observations, strict=True)
            if seen.failure is not None and not seen.status
        }
