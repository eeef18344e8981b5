"""Runs real servers on loopback, each in the state of the current slot.

The slot in effect when a connection is accepted decides how it is served (timing.py explains why that is safe). Only a
refusal must happen earlier: the listening socket is closed when the slot takes effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Self

from services.core.errors import ListenError
from services.core.network import listening
from services.sandbox.faults import FaultMode, FaultSpan
from services.sandbox.servers.connection import ConnectionBehaviour, ServedConnection
from services.sandbox.servers.replies import ReceivedRequest, ServerReply
from services.sandbox.timing import Timing

_BACKLOG = 128
_HANDSHAKE = 10.0
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True, slots=True)
class Site:
    """One listening address: the link or endpoint served there and its reply in a given fault.

    ``good`` and ``bad`` are the contexts of its TLS servers (None and empty: plain HTTP). Replies that take long are made in
    ``executor``.
    """

    name: str
    host: str
    port: int
    reply: Callable[[FaultSpan | None, ReceivedRequest], ServerReply]
    good: ssl.SSLContext | None = None
    bad: tuple[ssl.SSLContext, ...] = ()
    executor: Executor | None = None


def check_addresses(addresses: Iterable[tuple[str, int]]) -> None:
    """Raise ListenError when the sandbox could not listen on one of these hosts and ports."""
    for host, port in addresses:
        _listener(host, port).close()


def _listener(host: str, port: int) -> socket.socket:
    try:
        listener = listening(host, port, _BACKLOG)
    except OSError as error:
        raise ListenError(
            f"the sandbox cannot listen on {host}:{port}: {error.strerror}; "
            "stop what listens there or choose other ports with --base-port"
        ) from error
    listener.setblocking(False)
    return listener


Answered = Callable[[str, int, str], None]
"""Called after every reply with the site's name, the slot whose state applied, and the reply's name."""

Failed = Callable[[str, Exception], None]
"""Called with the site's name and the error when a reply could not be made; its connection is closed."""


class Servers:
    """All sites, listening inside ``async with``. Raises ListenError when an address is taken."""

    def __init__(
        self, sites: Sequence[Site], times: Timing, *, clock: Callable[[], float], answered: Answered, failed: Failed
    ) -> None:
        self._sites = {site.name: site for site in sites}
        self._times = times
        self._clock = clock
        self._answered = answered
        self._failed = failed
        self._state: Callable[[int], Mapping[str, FaultSpan]] = lambda _: {}
        self._listening: dict[str, socket.socket] = {}
        self._transports: set[asyncio.Transport] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        try:
            for site in self._sites.values():
                self._listen(site)
        except BaseException:
            self._stop_listening()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._stop_listening()
        for task in self._tasks:
            task.cancel()
        for transport in list(self._transports):
            transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def follow(self, state: Callable[[int], Mapping[str, FaultSpan]]) -> None:
        """Use these states from now on: the faults of a slot, by site."""
        self._state = state

    def apply(self, slot: int) -> None:
        """Refuse connections where this slot has a refusal, and listen everywhere else.

        Raises ListenError when an address was lost meanwhile.
        """
        state = self._state(slot)
        for name, site in self._sites.items():
            span = state.get(name)
            if span is not None and span.mode is FaultMode.REFUSED:
                self._refuse(name)
            elif name not in self._listening:
                self._listen(site)

    def _listen(self, site: Site) -> None:
        listener = _listener(site.host, site.port)
        self._listening[site.name] = listener
        self._loop.add_reader(listener, self._accept, site, listener)

    def _refuse(self, name: str) -> None:
        listener = self._listening.pop(name, None)
        if listener is not None:
            self._loop.remove_reader(listener)
            listener.close()

    def _stop_listening(self) -> None:
        for name in list(self._listening):
            self._refuse(name)

    def _accept(self, site: Site, listener: socket.socket) -> None:
        try:
            connected, _ = listener.accept()
        except OSError as error:
            if error.errno in _FULL:  # no room for another connection: retry when some may have closed
                self._loop.remove_reader(listener)
                self._loop.call_later(0.1, self._resume, site, listener)
            return
        connected.setblocking(False)
        slot = self._times.slot_at(self._clock())
        task = self._loop.create_task(self._serve(site, connected, slot, self._state(slot).get(site.name)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _resume(self, site: Site, listener: socket.socket) -> None:
        if self._listening.get(site.name) is listener:
            self._loop.add_reader(listener, self._accept, site, listener)

    async def _serve(self, site: Site, connected: socket.socket, slot: int, span: FaultSpan | None) -> None:
        context = site.good
        if site.bad and span is not None and span.mode is FaultMode.TLS_BROKEN:
            context = site.bad[span.variant % len(site.bad)]
        hung = span is not None and span.mode is FaultMode.HUNG
        behaviour = ConnectionBehaviour(
            reply=None if hung else lambda request: site.reply(span, request),
            delay=self._times.slow if span is not None and span.mode is FaultMode.SLOW else 0.0,
            on_written=lambda reply: self._answered(site.name, slot, reply.sent),
            on_failed=lambda error: self._failed(site.name, error),
            executor=site.executor,
        )
        # a client that leaves during the handshake, as it should on a bad certificate, is no error
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(
                lambda: ServedConnection(behaviour, self._transports),
                connected,
                ssl=context,
                ssl_handshake_timeout=_HANDSHAKE if context else None,
                ssl_shutdown_timeout=1.0 if context else None,
            )
