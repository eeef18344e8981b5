"""Resolves host names to addresses without threads, and caches the answers by their TTL."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Generic, TypeVar

import aiodns
from aiodns import error as ares

from services.core.tasks import cancel_and_wait
from services.prober.observation import Cause, Failure, Phase
from services.prober.transport.trace import ProbeFailedError

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SharedTasks(Generic[K, T]):
    """Runs at most one task per key at a time, shared by all probes that need its result meanwhile."""

    def __init__(self) -> None:
        self._tasks: dict[K, asyncio.Task[T]] = {}

    async def run(self, key: K, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of the key's task, which ``start`` starts unless it runs. Raises what the task raises."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(start())
            task.add_done_callback(lambda _: self._tasks.pop(key, None))
        # Shielded: the deadline of one probe must not end the task for the others.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Cancel the running tasks, and wait for their end."""
        await cancel_and_wait(*self._tasks.values())


_MIN_TTL = 1.0
_MAX_TTL = 300.0
_CACHE_SIZE = 20_000
# Names have some dozens at most. An answer has room for 4,000, and a target may redirect to ever new names of its own.
_MOST_ADDRESSES = 64
# A silent name server must not outlive every probe that waits for it.
_TIMEOUT = 5.0
# Causes by c-ares's error. Answers of name servers and invalid names are due to the name. All other errors happen
# between us and the name servers. c-ares has one code for two cases: nothing listens at a name server's address, or a
# socket cannot be opened.
_CAUSES: Final = {
    ares.ARES_ETIMEOUT: Cause.TIMEOUT,
    **dict.fromkeys((ares.ARES_ENODATA, ares.ARES_ENOTFOUND, ares.ARES_EFORMERR), Cause.FAILED),
    **dict.fromkeys((ares.ARES_ESERVFAIL, ares.ARES_EREFUSED, ares.ARES_EBADNAME), Cause.FAILED),
    **dict.fromkeys((ares.ARES_ENOTIMP, ares.ARES_EBADRESP), Cause.FAILED),
}


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Why a name did not resolve. ``denied``: a name server answered that the name does not exist or has no address."""

    reason: str
    denied: bool = False


_SAMPLE = 3
_REMEMBERED = 64
_DENIED: Final = frozenset({ares.ARES_ENODATA, ares.ARES_ENOTFOUND})


class Resolver:
    """Queries name servers, which are the system's unless others are given (ADDRESS or ADDRESS:PORT).

    Probes that need one name at the same time share one query.
    """

    def __init__(self, nameservers: Sequence[str] | None = None, clock: Callable[[], float] = monotonic) -> None:
        self._nameservers = nameservers
        self._clock = clock
        self._resolver: aiodns.DNSResolver | None = None
        self._cache: OrderedDict[str, tuple[float, tuple[str, ...]]] = OrderedDict()
        self._queries: SharedTasks[str, tuple[str, ...]] = SharedTasks()
        self._resolved: OrderedDict[str, bool] = OrderedDict()  # those that resolved last come last

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Return the IPv4 and IPv6 addresses of a name. Raises ProbeFailedError."""
        cached = self._cache.get(host)
        if cached is not None and cached[0] > self._clock():
            return cached[1]
        if len(self._resolved) < _REMEMBERED:
            self._resolved.setdefault(host, False)
        try:
            return await self._queries.run(host, lambda: self._query(host))
        except ares.DNSError as error:
            code, reason = error.args
            cause = _CAUSES.get(code, Cause.LOCAL_RESOURCES)
            raise ProbeFailedError(Failure(Phase.RESOLVE, cause, f"{host} does not resolve: {reason}")) from error

    def sample(self, *, every: bool = False) -> tuple[str, ...]:
        """Return up to three names that were queried: the last that resolved, or else the first that were queried.

        With ``every``, return all that are remembered.
        """
        resolved = [name for name, good in reversed(self._resolved.items()) if good]
        return tuple((resolved or list(self._resolved))[: None if every else _SAMPLE])

    async def check(self, names: Sequence[str], seconds: float) -> dict[str, Unresolved]:
        """Query name servers for each name, for up to ``seconds``. Return those that did not resolve."""
        # c-ares caches answers: use a new one.
        resolver = aiodns.DNSResolver(self._nameservers, timeout=seconds, tries=1)
        try:
            problems = await asyncio.gather(*(_problem(resolver, name, seconds) for name in names))
        finally:
            await resolver.close()
        found = dict(zip(names, problems, strict=True))
        for name in reversed(names):
            if found[name] is None and name in self._resolved:
                self._remember(name)
        return {name: problem for name, problem in found.items() if problem is not None}

    def _remember(self, name: str) -> None:
        """Remember that a name has resolved, in place of the one that resolved least recently, if there are many."""
        self._resolved[name] = True
        self._resolved.move_to_end(name)
        if len(self._resolved) > _REMEMBERED:
            self._resolved.popitem(last=False)

    async def _query(self, host: str) -> tuple[str, ...]:
        if self._resolver is None:
            self._resolver = aiodns.DNSResolver(self._nameservers, timeout=_TIMEOUT / 2, tries=2)
        result = await self._resolver.getaddrinfo(host)
        ttls: dict[str, float] = {}
        for node in result.nodes:
            address = node.addr[0]
            ttls[address.decode() if isinstance(address, bytes) else address] = float(node.ttl)
        addresses = tuple(ttls)
        if len(addresses) > _MOST_ADDRESSES:
            detail = f"{host} has more than {_MOST_ADDRESSES} addresses"
            raise ProbeFailedError(Failure(Phase.RESOLVE, Cause.FAILED, detail))
        self._remember(host)
        ttl = min(_MAX_TTL, max(_MIN_TTL, min(ttls.values(), default=0.0)))
        self._cache[host] = (self._clock() + ttl, addresses)
        self._cache.move_to_end(host)
        if len(self._cache) > _CACHE_SIZE:
            self._cache.popitem(last=False)
        return addresses

    async def close(self) -> None:
        """Cancel the queries under way."""
        await self._queries.close()
        if self._resolver is not None:
            await self._resolver.close()


async def _problem(resolver: aiodns.DNSResolver, name: str, seconds: float) -> Unresolved | None:
    try:
        async with asyncio.timeout(seconds):
            await resolver.getaddrinfo(name)
    except TimeoutError:
        return Unresolved(f"no answer within {seconds:g} s")
    except ares.DNSError as error:
        code, reason = error.args
        return Unresolved(str(reason), denied=code in _DENIED)
    return None
