"""Probe kind `dns`: one question to one name server, over UDP or TCP (docs/probing.md §2).

The latency is from sending the question to the end of its answer. An answer over UDP that says it is truncated is
judged as it is and not asked for again over TCP: one attempt.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from services.core.model import Probe, fill_placeholders, fill_probe
from services.prober.dns import DnsQuestion, MalformedAnswerError, build_query, query_udp
from services.prober.environment import ProbeEnvironment
from services.prober.observation import Cause, DnsFacts, Failure, Observation, Phase
from services.prober.transport import (
    FreshConnection,
    Outbound,
    ProbeFailedError,
    ProbeTrace,
    observed,
    parse_host_port,
    resolve_host,
    run_connection,
    run_until_deadline,
    try_addresses,
)

__all__ = ["DnsTarget", "prepare", "probe"]

_PORT: Final = 53
_LENGTH: Final = 2


@dataclass(frozen=True, slots=True)
class DnsTarget:
    """One target, ready to be asked; ``transport`` udp or tcp."""

    outbound: Outbound = field(repr=False)
    host: str
    port: int
    question: DnsQuestion
    transport: str
    ip: str


@dataclass(slots=True)
class _Answer:
    """What came, and when (perf_counter); None until it did."""

    facts: DnsFacts | None = None
    at: float = 0.0


def prepare(definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment) -> DnsTarget:
    """Build a target of a definition, its texts filled in from ``params``. Raises ValueError."""
    host, port = parse_host_port(fill_placeholders(target, params), _PORT)
    query = fill_probe(definition, params).query
    return DnsTarget(environment.outbound, host, port, build_query(query), query.transport, definition.ip)


async def probe(target: DnsTarget, deadline: float) -> Observation:
    """Ask once, from a port of its own; end by ``deadline`` (monotonic seconds), always."""
    trace, answer = ProbeTrace(deadline, ip=target.ip), _Answer()
    asking = _ask_over_tcp if target.transport == "tcp" else _ask_over_udp
    failure = await run_until_deadline(trace, asking(target, trace, answer))
    latency = None if failure else answer.at - trace.first_sent
    return observed(trace, failure, latency, protocol="DNS", dns=answer.facts)


async def _ask_over_udp(target: DnsTarget, trace: ProbeTrace, answer: _Answer) -> None:
    question, number = target.question, os.urandom(2)

    def read(data: bytes) -> DnsFacts | None:
        return question.answered(number, data)

    async def ask(address: str) -> tuple[DnsFacts, float]:
        return await query_udp(address, target.port, question.asked(number), read)

    addresses = await resolve_host(target.host, target.outbound, trace)
    trace.phase = Phase.PROCESSING
    trace.first_sent = perf_counter()
    try:
        answer.facts, answer.at = await try_addresses(addresses, ask, trace, silent=Phase.PROCESSING)
    except MalformedAnswerError as error:
        raise ProbeFailedError(Failure(Phase.PROCESSING, Cause.PROTOCOL, str(error))) from error
    finally:
        trace.processing = (answer.at or perf_counter()) - trace.first_sent


async def _ask_over_tcp(target: DnsTarget, trace: ProbeTrace, answer: _Answer) -> None:
    stream = await run_connection(
        target.host, target.port, lambda done: _Exchange(done, target.question), target.outbound, trace
    )
    answer.facts, answer.at = stream.facts, stream.ended


class _Exchange(FreshConnection):
    """Sends one question and waits for its answer, each behind its length in two bytes (RFC 1035 §4.2.2)."""

    __slots__ = ("_number", "_pending", "_question", "facts")

    def __init__(self, done: asyncio.Future[None], question: DnsQuestion) -> None:
        super().__init__(done)
        self.facts: DnsFacts | None = None
        self._number = os.urandom(2)
        self._question = question
        self._pending = bytearray()

    def ready(self) -> None:
        """Ask."""
        self.sent = perf_counter()
        question = self._question.asked(self._number)
        self.write(len(question).to_bytes(_LENGTH, "big") + question)

    def received(self, data: bytes) -> None:
        """Read each message that is whole, until the answer."""
        self.first_byte = self.first_byte or perf_counter()
        self.phase = Phase.TRANSFER
        self._pending += data
        while not self.ended and len(self._pending) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._pending[:_LENGTH], "big")
            if len(self._pending) < end:
                return
            message = bytes(self._pending[_LENGTH:end])
            del self._pending[:end]
            self._take(message)

    def _take(self, message: bytes) -> None:
        try:
            self.facts = self._question.answered(self._number, message)
        except MalformedAnswerError as error:
            self.fail(Cause.PROTOCOL, str(error))
        else:
            if self.facts is not None:
                self.complete()
