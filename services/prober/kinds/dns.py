"""Probe kind `dns`: one query to one name server, over UDP, TCP or TLS (docs/probing.md §2).

The latency is from sending the query to the end of its answer. A truncated answer over UDP is judged as it is and not
queried again over TCP, because a probe is one attempt. A worker process reads a large answer.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from time import perf_counter
from typing import Final, cast

from services.core.model import Probe, Tls, fill_placeholders, fill_probe
from services.prober.checks import TooCostlyError
from services.prober.kinds.dns_message import (
    ID_LENGTH,
    READ_AT_ONCE,
    DnsQuestion,
    MalformedAnswerError,
    build_question,
    facts_of_call,
    read_answer,
    read_answer_call,
)
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.observation import Cause, DnsFacts, Failure, Observation, Phase
from services.prober.tls import Handshake
from services.prober.transport import (
    FreshConnection,
    ProbeFailedError,
    ProbeTrace,
    handshake_factory,
    parse_host_port,
    resolve_host,
    run_connection,
    run_until_deadline,
    try_addresses,
)

_PORTS: Final = {"udp": 53, "tcp": 53, "tls": 853}
# Bytes of the length that comes before each message over TCP.
_PREFIX_LENGTH: Final = 2


@dataclass(frozen=True, slots=True)
class DnsTarget:
    """One target, ready to be probed. ``transport`` is udp, tcp or tls, and ``tls`` the profile for the last."""

    environment: ProbeEnvironment = field(repr=False)
    host: str
    port: int
    question: DnsQuestion
    transport: str
    tls: Tls
    ip: str


@dataclass(slots=True)
class _Answer:
    """The message that is the answer, and when it came (perf_counter). They are empty and 0 before."""

    message: bytes = b""
    time: float = 0.0


def prepare(definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment) -> DnsTarget:
    """Build a target of a definition, its texts filled in from ``params``. Raises ValueError."""
    query = fill_probe(definition, params).query
    host, port = parse_host_port(fill_placeholders(target, params), _PORTS[query.transport])
    question, tls = build_question(query), definition.tls
    return DnsTarget(environment, host, port, question, query.transport, tls, definition.ip)


async def probe(target: DnsTarget, deadline: float) -> Observation:
    """Query once, from a port of its own. Always end by ``deadline`` (monotonic seconds), or soon after if an answer came.

    Raises UnjudgedError when a large answer was not read in time.
    """
    trace, answer = ProbeTrace(deadline, ip=target.ip), _Answer()
    query = _query_udp if target.transport == "udp" else _query_tcp
    failure = await run_until_deadline(trace, query(target, trace, answer))
    latency = None if failure else answer.time - trace.first_sent
    observation = replace(trace.observation(failure, latency), protocol="DNS")
    if failure is not None:
        return observation
    try:
        return replace(observation, dns=await _read(answer.message, target, deadline))
    except (MalformedAnswerError, TooCostlyError) as error:
        cause = Cause.PROTOCOL if isinstance(error, MalformedAnswerError) else Cause.TOO_COSTLY
        return replace(observation, latency=None, failure=Failure(trace.phase, cause, str(error)))


async def _read(message: bytes, target: DnsTarget, deadline: float) -> DnsFacts:
    """Return the facts of an answer. Raises MalformedAnswerError, UnjudgedError and TooCostlyError."""
    if len(message) <= READ_AT_ONCE:
        return read_answer(message)
    environment = target.environment
    return facts_of_call(await environment.workers.call(read_answer_call, (message,), deadline, environment.provider))


async def _query_udp(target: DnsTarget, trace: ProbeTrace, answer: _Answer) -> None:
    query_id = os.urandom(ID_LENGTH)

    async def query(address: str) -> tuple[bytes, float]:
        return await _query_address(address, target, query_id)

    addresses = await resolve_host(target.host, target.environment.outbound, trace)
    trace.phase = Phase.PROCESSING
    trace.first_sent = perf_counter()
    try:
        answer.message, answer.time = await try_addresses(addresses, query, trace, silent=Phase.PROCESSING)
    except MalformedAnswerError as error:
        raise ProbeFailedError(Failure(Phase.PROCESSING, Cause.PROTOCOL, str(error))) from error
    finally:
        trace.processing = (answer.time or perf_counter()) - trace.first_sent


async def _query_address(address: str, target: DnsTarget, query_id: bytes) -> tuple[bytes, float]:
    """Send one datagram to an IP address. Return the answer, and when it came (perf_counter).

    Datagrams from other addresses and ports are ignored. The wait has no limit, because the caller has the deadline.
    Raises OSError and MalformedAnswerError.
    """
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    sock, query = socket.socket(family, socket.SOCK_DGRAM), _UdpQuery(target.question, query_id)
    try:
        sock.setblocking(False)
        sock.connect((address, target.port))
        transport, _ = await loop.create_datagram_endpoint(lambda: query, sock=sock)
    except BaseException:
        query.give_up()
        sock.close()
        raise
    try:
        transport.sendto(target.question.with_id(query_id))
        return await query.answer
    finally:
        transport.abort()


class _UdpQuery(asyncio.DatagramProtocol):
    """Waits for the first datagram that is the answer."""

    def __init__(self, question: DnsQuestion, query_id: bytes) -> None:
        self.answer: asyncio.Future[tuple[bytes, float]] = asyncio.get_running_loop().create_future()
        self._question = question
        self._query_id = query_id
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, unless the query was given up."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        if self.answer.cancelled():
            self._transport.abort()

    def give_up(self) -> None:
        """Close the transport that uvloop leaves open if the deadline passes while it is made."""
        self.answer.cancel()
        if self._transport is not None:
            self._transport.abort()

    def datagram_received(self, data: bytes, _: object) -> None:
        """Resolve the future if this is the answer, or no answer at all."""
        if self.answer.done():
            return
        came = perf_counter()
        try:
            is_answer = self._question.is_answer(self._query_id, data)
        except Exception as error:  # noqa: BLE001 - an event loop swallows what its callbacks raise
            self.answer.set_exception(error)
        else:
            if is_answer:
                self.answer.set_result((data, came))

    def error_received(self, error: Exception) -> None:
        """Fail: the datagram could not be sent, or was refused by its destination."""
        if not self.answer.done():
            self.answer.set_exception(error)


async def _query_tcp(target: DnsTarget, trace: ProbeTrace, answer: _Answer) -> None:
    make_handshake, outbound = None, target.environment.outbound
    if target.transport == "tls":
        make_handshake = handshake_factory(target.tls, target.host, outbound, alpn=("dot",))

    def make(done: asyncio.Future[None]) -> _TcpQuery:
        return _TcpQuery(done, target.question, make_handshake() if make_handshake else None)

    connection = await run_connection(target.host, target.port, make, outbound, trace)
    answer.message, answer.time = connection.answer, connection.ended


class _TcpQuery(FreshConnection):
    """Sends one query and waits for its answer, each after its length in two bytes (RFC 1035 §4.2.2, RFC 7858)."""

    __slots__ = ("_buffer", "_query_id", "_question", "answer")

    def __init__(self, done: asyncio.Future[None], question: DnsQuestion, handshake: Handshake | None) -> None:
        super().__init__(done, handshake)
        self.answer = b""
        self._buffer = bytearray()
        self._query_id = os.urandom(ID_LENGTH)
        self._question = question

    def ready(self) -> None:
        self.sent = perf_counter()
        query = self._question.with_id(self._query_id)
        self.write(len(query).to_bytes(_PREFIX_LENGTH, "big") + query)

    def received(self, data: bytes) -> None:
        """Look at each complete message, until the answer."""
        self.first_byte = self.first_byte or perf_counter()
        self.phase = Phase.TRANSFER
        self._buffer += data
        while not self.ended and len(self._buffer) >= _PREFIX_LENGTH:
            end = _PREFIX_LENGTH + int.from_bytes(self._buffer[:_PREFIX_LENGTH], "big")
            if len(self._buffer) < end:
                return
            message = bytes(self._buffer[_PREFIX_LENGTH:end])
            del self._buffer[:end]
            self._take(message)

    def _take(self, message: bytes) -> None:
        try:
            is_answer = self._question.is_answer(self._query_id, message)
        except MalformedAnswerError as error:
            self.fail(Cause.PROTOCOL, str(error))
        else:
            if is_answer:
                self.answer = message
                self.complete()
