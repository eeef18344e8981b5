"""Control targets: what a vantage must always reach. If one fails, the vantage is at fault (docs/design.md §3)."""

from __future__ import annotations

import asyncio
from time import monotonic
from urllib.parse import urlsplit

from services.core.model import Probe, Tls
from services.prober.environment import ProbeEnvironment
from services.prober.kinds import HttpTarget, build_http_target, probe_http
from services.prober.transport import ProbeFailedError, allowed_addresses, os_error_text

__all__ = ["CONTROL_SECONDS", "CONTROL_TIMEOUT", "ControlTargets"]

CONTROL_SECONDS = 0.5
"""How often control targets are checked. A measurement waits for the round after its probe and for the flush after that,
and must be published within FLUSH_SECONDS: one interval, one round, one flush and one fsync fit into them."""

CONTROL_TIMEOUT = 1.0
"""Seconds that a control target has. A slower one fails its round: what it would release is UNKNOWN either way."""

_DEFINITION = Probe("control", "http", tls=Tls(verify=False), redirects="none", body_limit=1 << 16)


class ControlTargets:
    """The control targets of one vantage: ``http(s)://`` (any answer passes) and ``tcp://host:port`` (connecting does).

    Raises ValueError for one that cannot be checked.
    """

    def __init__(self, targets: tuple[str, ...], environment: ProbeEnvironment) -> None:
        self._environment = environment
        self._tcp = [url for url in targets if url.lower().startswith("tcp:")]
        self._http = {url: build_http_target(_DEFINITION, url, environment) for url in targets if url not in self._tcp}

    def __len__(self) -> int:
        """Return how many control targets there are."""
        return len(self._http) + len(self._tcp)

    async def check(self) -> dict[str, str]:
        """Check each once; return those that failed, with the problem. Empty means that the vantage sees."""
        urls = [*self._http, *self._tcp]
        problems = await asyncio.gather(
            *(self._check_http(target) for target in self._http.values()), *(self._check_tcp(url) for url in self._tcp)
        )
        return {url: problem for url, problem in zip(urls, problems, strict=True) if problem}

    async def _check_http(self, target: HttpTarget) -> str:
        observation = await probe_http(target, monotonic() + CONTROL_TIMEOUT)
        if observation.status:
            return ""
        failure = observation.failure
        return failure.detail if failure else "no answer"

    async def _check_tcp(self, url: str) -> str:
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        problem = "no address"
        try:
            async with asyncio.timeout(CONTROL_TIMEOUT):
                for address in await allowed_addresses(parts.hostname or "", self._environment.outbound):
                    try:
                        transport, _ = await loop.create_connection(asyncio.Protocol, address, parts.port or 0)
                    except OSError as error:
                        problem = os_error_text(error)
                    else:
                        transport.abort()
                        return ""
        except TimeoutError:
            return "no connection in time"
        except ProbeFailedError as failed:
            return str(failed)
        return problem
