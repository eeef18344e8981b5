"""Names to addresses, without threads, remembered for as long as their TTL says."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Final

import aiodns
from aiodns import error as ares

from services.prober.observation import Cause

__all__ = ["ResolveError", "Resolver"]

_SHORTEST = 1.0
_LONGEST = 300.0
_REMEMBERED = 20_000
# A name server that is silent must not outlive every probe that waits for it.
_TIMEOUT = 5.0
# What name servers answer of a name, and what is no name at all. Everything else happens between us and them.
_OF_THE_NAME: Final = frozenset(
    {
        ares.ARES_ENODATA,
        ares.ARES_ENOTFOUND,
        ares.ARES_EFORMERR,
        ares.ARES_ESERVFAIL,
        ares.ARES_EREFUSED,
        ares.ARES_EBADNAME,
    }
)


class ResolveError(Exception):
    """The name does not resolve; the message says why, and ``cause`` whether that is due to it, to silence, or to us."""

    def __init__(self, message: str, cause: Cause) -> None:
        super().__init__(message)
        self.cause = cause


class Resolver:
    """Asks name servers, the system's unless others are given (ADDRESS or ADDRESS:PORT).

    Probes that want one name at the same time share one question.
    """

    def __init__(self, nameservers: Sequence[str] | None = None, clock: Callable[[], float] = monotonic) -> None:
        self._nameservers = nameservers
        self._clock = clock
        self._resolver: aiodns.DNSResolver | None = None
        self._known: OrderedDict[str, tuple[float, tuple[str, ...]]] = OrderedDict()
        self._asked: dict[str, asyncio.Task[tuple[str, ...]]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a name, of both families. Raises ResolveError."""
        known = self._known.get(host)
        if known is not None and known[0] > self._clock():
            return known[1]
        task = self._asked.get(host)
        if task is None:
            task = asyncio.create_task(self._ask(host))
            self._asked[host] = task
            task.add_done_callback(lambda _: self._asked.pop(host, None))
        try:
            # Shielded: one probe's deadline must not end the question for the others.
            return await asyncio.shield(task)
        except ares.DNSError as error:
            code, reason = error.args
            raise ResolveError(f"{host} does not resolve: {reason}", _cause_of(code)) from error

    async def _ask(self, host: str) -> tuple[str, ...]:
        if self._resolver is None:
            self._resolver = aiodns.DNSResolver(self._nameservers, timeout=_TIMEOUT / 2, tries=2)
        result = await self._resolver.getaddrinfo(host)
        found: dict[str, float] = {}
        for node in result.nodes:
            address = node.addr[0]
            found[address.decode() if isinstance(address, bytes) else address] = float(node.ttl)
        addresses = tuple(found)
        kept = min(_LONGEST, max(_SHORTEST, min(found.values(), default=0.0)))
        self._known[host] = (self._clock() + kept, addresses)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return addresses

    async def close(self) -> None:
        """Stop asking."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError, ares.DNSError):
                await task
        if self._resolver is not None:
            await self._resolver.close()


def _cause_of(code: int) -> Cause:
    """Tell whether a name is not resolved for its own sake, because nobody answers, or because we cannot ask.

    c-ares says the same of a name server's address where nobody listens as of sockets that cannot be opened.
    """
    if code == ares.ARES_ETIMEOUT:
        return Cause.TIMEOUT
    return Cause.FAILED if code in _OF_THE_NAME else Cause.LOCAL_RESOURCES
