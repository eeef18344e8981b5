"""Probe kind `tcp`: a connection, and optionally a dialogue in lines over it (docs/probing.md §2).

Each item of ``lines`` waits for a line, a prompt or bytes. It then sends ``send`` and a line feed, or bytes, and after
that switches to TLS. It skips the parts that it lacks. The latency is from the start of connecting to the connection or
to the end of the dialogue.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Final

from services.core.model import Probe, Tls, fill_placeholders, fill_probe
from services.prober.expected import Pattern, compile_pattern
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.observation import Cause, Observation, Phase
from services.prober.tls import Handshake
from services.prober.transport import (
    LineConnection,
    Outbound,
    ProbeTrace,
    handshake_factory,
    parse_host_port,
    run_connection,
    run_until_deadline,
)

# If lines other than the expected one came, they explain more than how the dialogue ended.
_UNEXPECTED_LINE: Final[Mapping[Cause, Cause]] = {
    Cause.TIMEOUT: Cause.LINE_TIMEOUT,
    Cause.CLOSED: Cause.LINE,
    Cause.RESET: Cause.LINE,
}
_GROUP: Final = re.compile(rb"\\([1-9])")
_PROMPT_LIMIT: Final = 4096
"""Bytes at the end of what has arrived that are searched for a prompt, each time that more arrives."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """One item of a dialogue: what to wait for, what to send then, and whether TLS starts after it.

    ``expect`` matches a line or, with ``prompt``, the part of a line that has arrived. ``first`` are bytes that must
    come first. ``groups`` means that ``send`` uses groups of the last match.
    """

    expect: Pattern | None
    send: bytes = field(repr=False)
    starttls: bool
    prompt: bool
    first: bytes
    groups: bool


@dataclass(frozen=True, slots=True)
class TcpTarget:
    """One target, ready to be probed. ``tls`` is None if the dialogue does not switch to TLS."""

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
            send=line.send.encode() + b"\n" if line.send else bytes.fromhex(line.send_hex),
            starttls=line.starttls,
            prompt=line.prompt,
            first=bytes.fromhex(line.expect_hex),
            groups=_GROUP.search(written.send.encode()) is not None,
        )
        for line, written in zip(fill_probe(definition, params).lines, definition.lines, strict=True)
    )
    tls = definition.tls if any(turn.starttls for turn in turns) else None
    return TcpTarget(environment.outbound, host, port, turns, tls, definition.ip)


async def probe(target: TcpTarget, deadline: float) -> Observation:
    """Connect once, and hold the dialogue. Always end by ``deadline`` (monotonic seconds)."""
    trace = ProbeTrace(deadline, ip=target.ip)
    failure = await run_until_deadline(trace, _connect(target, trace))
    if failure is None:
        return trace.observation(None, trace.since_connecting())
    dialogue = trace.connection
    if isinstance(dialogue, _Dialogue) and dialogue.unmatched and failure.cause in _UNEXPECTED_LINE:
        cause = _UNEXPECTED_LINE[failure.cause]
        failure = replace(failure, cause=cause, detail=f"no line matches {dialogue.unmatched}")
    return trace.observation(failure, None)


async def _connect(target: TcpTarget, trace: ProbeTrace) -> None:
    make_handshake = None if target.tls is None else handshake_factory(target.tls, target.host, target.outbound)

    def make(done: asyncio.Future[None]) -> _Dialogue:
        return _Dialogue(done, target.turns, make_handshake)

    await run_connection(target.host, target.port, make, target.outbound, trace)


class _Dialogue(LineConnection):
    """A dialogue, turn by turn. ``unmatched`` is the expected pattern once other lines came, else empty."""

    __slots__ = ("_groups", "_make_handshake", "_sent_last", "_turns", "unmatched")

    def __init__(
        self, done: asyncio.Future[None], turns: tuple[_Turn, ...], make_handshake: Callable[[], Handshake] | None
    ) -> None:
        super().__init__(done)
        self.unmatched = ""
        self._sent_last = False
        self._groups: tuple[bytes | None, ...] = ()
        self._turns = list(turns)
        self._make_handshake = make_handshake

    def ready(self) -> None:
        """Start, or continue after the handshake."""
        self._advance()

    def line(self, line: bytes) -> None:
        """Process a line: the expected one, or one of those before it."""
        if self._turns[0].expect is not None and self._match(line):
            self.matched()

    def partial(self, buffer: bytearray) -> int | None:
        """Look for the prompt or the bytes that the first turn waits for."""
        turn = self._turns[0]
        if turn.prompt:
            return len(buffer) if self._match(bytes(buffer[-_PROMPT_LIMIT:])) else 0
        if not turn.first:
            return 0
        if not buffer.startswith(turn.first[: len(buffer)]):
            self.fail(Cause.LINE, f"the server did not begin with the bytes {turn.first.hex(' ')}")
            return None
        return len(turn.first) if len(buffer) >= len(turn.first) else None

    def matched(self) -> None:
        """Continue once the first turn got what it waited for."""
        self.unmatched = ""
        self.phase = Phase.PROCESSING
        self._take(self._turns.pop(0))

    def _match(self, text: bytes) -> bool:
        turn = self._turns[0]
        assert turn.expect is not None
        match = turn.expect.compiled.search(text)
        if match is None:
            self.unmatched = turn.expect.text
            return False
        self._groups = match.groups()
        return True

    def _advance(self) -> None:
        """Take the turns up to the first that waits."""
        if not self._turns:
            # A reset could overtake the bytes that were sent last.
            self.complete(reset=not self._sent_last)
        elif self._turns[0].expect is None and not self._turns[0].first:
            self._take(self._turns.pop(0))
        else:
            self.sent = self.sent or perf_counter()

    def _take(self, turn: _Turn) -> None:
        """Send the bytes of a turn, and continue with the next."""
        self._sent_last = bool(turn.send) or turn.starttls
        if turn.send:
            self.sent = self.sent or perf_counter()
            self.send(_GROUP.sub(self._group, turn.send) if turn.groups else turn.send)
        if turn.starttls:
            assert self._make_handshake is not None
            self.switch_to_tls(self._make_handshake())
        else:
            self._advance()

    def _group(self, match: re.Match[bytes]) -> bytes:
        number = int(match[1])
        return (self._groups[number - 1] or b"") if number <= len(self._groups) else b""
