"""Checks control targets and names, which tell whether a vantage is itself at fault (docs/design.md §3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from time import monotonic
from typing import Generic

from services.core.log import Logger
from services.core.model import Probe, Proxy, Tls, reason_of_status
from services.prober.excuses import Bracket, Held, VantageFaults
from services.prober.kinds import ProbeEnvironment, build_http_target, prepare_tcp, probe_http, probe_tcp
from services.prober.metrics import ProberMetrics
from services.prober.observation import Phase
from services.prober.secrets import MissingSecretError
from services.prober.transport import Resolver, is_address, parse_host_port

CONTROL_SECONDS = 0.5
"""Seconds between checks of control targets.

A measurement waits for the round after its probe and then for a flush, and must be published within FLUSH_SECONDS. One
interval, one round, one flush and one fsync fit into that time.
"""

CONTROL_TIMEOUT = 1.0
"""Seconds that a control target has. A slower one fails its round: what the round releases is UNKNOWN either way."""

_HTTP = Probe("control", "http", tls=Tls(verify=False), redirects="none", body_limit=1 << 16)
_TCP = Probe("control", "tcp")
_DIRECTLY = Proxy()


class ControlTargets:
    """The control targets of one vantage: ``http(s)://`` passes with any answer, ``tcp://host:port`` by connecting.

    With a ``proxy``, HTTP targets go over it, and a status with which nothing is answered fails because it may be the
    proxy's own. Raises ValueError for a target that cannot be checked.
    """

    def __init__(self, targets: tuple[str, ...], environment: ProbeEnvironment, proxy: Proxy = _DIRECTLY) -> None:
        self._targets, self._environment = targets, environment
        self._http = replace(_HTTP, proxy=proxy)
        self._tcp_built = {url: prepare_tcp(_TCP, url, {}, environment) for url in targets if _is_tcp(url)}
        self._http_built = {url: build_http_target(_HTTP, url, environment) for url in targets if not _is_tcp(url)}

    async def check(self) -> dict[str, str]:
        """Check each target once. Return the problem of each that failed; empty means that the vantage sees."""
        deadline = monotonic() + CONTROL_TIMEOUT
        problems = await asyncio.gather(*(self._check(url, deadline) for url in self._targets))
        return {url: problem for url, problem in zip(self._targets, problems, strict=True) if problem}

    async def _check(self, url: str, deadline: float) -> str:
        """Return the problem of a control target, empty when it answers."""
        if _is_tcp(url):
            seen = await probe_tcp(self._tcp_built[url], deadline)
        else:
            try:
                target = self._http_built[url]
                if self._http.proxy.url:  # its password may have changed
                    target = build_http_target(self._http, url, self._environment)
                seen = await probe_http(target, deadline)
            except MissingSecretError as error:
                return str(error)
            if self._http.proxy.url and reason_of_status(seen.status):
                return f"the proxy, or the target behind it, answered with status {seen.status}"
        # Any status is an answer, except that of a proxy which refuses us.
        if seen.failure is None or (seen.status and seen.failure.phase is not Phase.PROXY):
            return ""
        return seen.failure.detail


def _is_tcp(url: str) -> bool:
    return url.lower().startswith("tcp:")


class ControlNames:
    """Names that a vantage must always resolve.

    The policy names them; otherwise they are the hosts of control targets. Without either, they are a few names of
    probed targets, preferably those that resolved last, or all that are remembered if none resolved in the last round.
    """

    def __init__(self, names: tuple[str, ...], targets: tuple[str, ...], resolver: Resolver) -> None:
        hosts = (parse_host_port(url, 0)[0] for url in targets)
        self._names = names or tuple(dict.fromkeys(host for host in hosts if not is_address(host)))
        self._resolver = resolver
        self._failed = False

    async def check(self) -> dict[str, str]:
        """Query name servers for each name. Return the problems if none resolves, and nothing if the vantage resolves.

        If the only name is that of a probed target and does not exist, the problem is the target's own.
        """
        names = self._names or self._resolver.sample(every=self._failed)
        problems = await self._resolver.check(names, CONTROL_TIMEOUT) if names else {}
        self._failed = bool(names) and len(problems) == len(names)
        if not self._failed:
            return {}
        if not self._names and len(problems) == 1 and all(problem.denied for problem in problems.values()):
            return {}
        return {name: problem.reason for name, problem in problems.items()}


_ROUNDS_PER_FLUSH = 2


@dataclass(slots=True, eq=False)
class ControlLoop(Generic[Held]):
    """Checks control targets and names, releases the results that its rounds bracket, and flushes every second round.

    ``release`` is called with each held value and what failed around it.

    One rhythm for all three keeps a measurement from waiting for each of them in turn. A flush is one message, whatever
    it holds, and the number of messages decides the cost of probing few targets.
    """

    vantage: str
    bracket: Bracket[Held]
    release: Callable[[Held, VantageFaults], None]
    flush: Callable[[], Awaitable[None]]
    metrics: ProberMetrics
    log: Logger
    first_round: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set once the first round has ended: from then on it is known whether the vantage sees."""
    _checked: tuple[ControlTargets, ControlNames] | None = field(default=None, init=False)
    _failing: dict[str, str] = field(default_factory=dict, init=False)
    _unresolved: dict[str, str] = field(default_factory=dict, init=False)
    _begun: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _ending: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def use(self, targets: ControlTargets, names: ControlNames) -> None:
        """Check these targets and names from the next round on. The first call starts the rounds."""
        self._checked = targets, names
        self._begun.set()

    async def run(self) -> None:
        """Run rounds until ``stop`` is called. The last round releases and flushes what is still held."""
        await self._begun.wait()
        for number in count(1):
            last = self._ending.is_set()
            began = monotonic()
            if self._checked is not None:
                await self._round(began, *self._checked)
            if last or number % _ROUNDS_PER_FLUSH == 0:
                await self.flush()
            if last:
                return
            self.first_round.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), max(0.0, began + CONTROL_SECONDS - monotonic()))

    def stop(self) -> None:
        """Make the next round the last."""
        self._ending.set()
        self._begun.set()

    async def _round(self, began: float, targets: ControlTargets, names: ControlNames) -> None:
        failing, unresolved = await asyncio.gather(targets.check(), names.check())
        if failing.keys() != self._failing.keys():
            self.metrics.show_failing(self.vantage, failing)
            if failing:
                self.log.error("vantage_blind", failing=failing)
            else:
                self.log.info("vantage_sees")
        if bool(unresolved) != bool(self._unresolved):
            if unresolved:
                self.log.error("resolver_failed", names=unresolved)
            else:
                self.log.info("resolver_answers")
        self._failing, self._unresolved = failing, unresolved
        self.metrics.blind.labels(self.vantage).set(bool(failing))
        self.metrics.unresolved.labels(self.vantage).set(bool(unresolved))
        for held, faults in self.bracket.round(began, VantageFaults(bool(failing), bool(unresolved))):
            self.release(held, faults)
