"""Probe kind `tcp`: a connection, and over it perhaps a talk in lines (docs/probing.md §2).

Each item of ``lines`` waits for a line that matches ``expect``, then sends ``send`` and a line feed, then goes over to
TLS; what it lacks it skips. The latency is from the start of connecting to the connection or the end of the talk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Final

from services.core.model import Probe, Tls, fill_placeholders, fill_probe
from services.prober.environment import ProbeEnvironment
from services.prober.expected import Pattern, compile_pattern
from services.prober.observation import Cause, Observation, Phase
from services.prober.tls import Handshake
from services.prober.transport import (
    LineConnection,
    Outbound,
    ProbeTrace,
    handshake_factory,
    observed,
    parse_host_port,
    run_connection,
    run_until_deadline,
    since_connecting,
)

__all__ = ["TcpTarget", "prepare", "probe"]

# Where a talk ends without the line it waits for, other lines say more than how it ended.
_ENDED: Final[Mapping[Cause, Cause]] = {
    Cause.TIMEOUT: Cause.LINE_TIMEOUT,
    Cause.CLOSED: Cause.LINE,
    Cause.RESET: Cause.LINE,
}


@dataclass(frozen=True, slots=True)
class _Turn:
    """One item of a talk: what to wait for, what to say then, and whether TLS begins after it."""

    expect: Pattern | None
    send: bytes = field(repr=False)
    starttls: bool


@dataclass(frozen=True, slots=True)
class TcpTarget:
    """One target, ready to be asked; ``tls`` None where the talk has no use for it."""

    outbound: Outbound = field(repr=False)
    host: str
    port: int
    turns: tuple[_Turn, ...]
    tls: Tls | None
    ip: str


def prepare(definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment) -> TcpTarget:
    """Build a target of a definition, its texts filled in from ``params``. Raises ValueError."""
    host, port = parse_host_port(fill_placeholders(target, params))
    turns = tuple(
        _Turn(
            expect=compile_pattern(line.expect) if line.expect else None,
            send=line.send.encode() + b"\n" if line.send else b"",
            starttls=line.starttls,
        )
        for line in fill_probe(definition, params).lines
    )
    secured = any(turn.starttls for turn in turns)
    return TcpTarget(environment.outbound, host, port, turns, definition.tls if secured else None, definition.ip)


async def probe(target: TcpTarget, deadline: float) -> Observation:
    """Connect once, and talk; end by ``deadline`` (monotonic seconds), always."""
    trace = ProbeTrace(deadline, ip=target.ip)
    talks: list[_Conversation] = []
    failure = await run_until_deadline(trace, _ask(target, trace, talks))
    if failure is not None and failure.cause in _ENDED and talks and talks[-1].awaited:
        failure = replace(failure, cause=_ENDED[failure.cause], detail=f"no line matches {talks[-1].awaited}")
    return observed(trace, failure, None if failure else since_connecting(trace, talks[-1]))


async def _ask(target: TcpTarget, trace: ProbeTrace, talks: list[_Conversation]) -> None:
    shake = None if target.tls is None else handshake_factory(target.tls, target.host, target.outbound, trace)

    def make(done: asyncio.Future[None]) -> _Conversation:
        talks.append(_Conversation(done, target.turns, shake))
        return talks[-1]

    await run_connection(target.host, target.port, make, target.outbound, trace)


class _Conversation(LineConnection):
    """A talk, turn by turn. ``awaited`` is the pattern that other lines came for, empty when none did."""

    __slots__ = ("_handshakes", "_last_word", "_turns", "awaited")

    def __init__(
        self, done: asyncio.Future[None], turns: tuple[_Turn, ...], shake: Callable[[], Handshake] | None
    ) -> None:
        super().__init__(done)
        self.awaited = ""
        self._last_word = False
        self._turns = list(turns)
        self._handshakes = shake

    def ready(self) -> None:
        """Begin, or go on after the handshake."""
        self._go_on()

    def line(self, line: bytes) -> None:
        """Take a line: it ends the wait, or is one of those that come before."""
        turn = self._turns[0]
        assert turn.expect is not None
        if not turn.expect.found(line):
            self.awaited = turn.expect.text
            return
        self.awaited = ""
        self.phase = Phase.PROCESSING
        self._act(self._turns.pop(0))

    def _go_on(self) -> None:
        """Take the turns up to one that waits."""
        if not self._turns:
            # A reset could overtake what was said last.
            self.complete(reset=not self._last_word)
        elif self._turns[0].expect is None:
            self._act(self._turns.pop(0))
        else:
            self.sent = self.sent or perf_counter()

    def _act(self, turn: _Turn) -> None:
        """Say what a turn says, and let the next begin."""
        self._last_word = bool(turn.send) or turn.starttls
        if turn.send:
            self.sent = self.sent or perf_counter()
            self.say(turn.send)
        if turn.starttls:
            assert self._handshakes is not None
            self.switch(self._handshakes())
        else:
            self._go_on()
