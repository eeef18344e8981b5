"""A real name server on loopback, over UDP and TCP on one port."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone

__all__ = ["Asked", "DnsServer", "answering", "naming", "with_rcode"]

ZONE = """
$ORIGIN tax.example.
$TTL 300
@    IN SOA ns hostmaster 1 7200 900 1209600 60
@    IN NS  ns
@    60 IN TXT "v=one"
ns   IN A   192.0.2.53
www  IN A   192.0.2.1
www  30 IN A 192.0.2.2
www  IN AAAA 2001:db8::1
docs IN CNAME www
"""

LARGE = "".join(f'large 300 IN TXT "{number:0200}"\n' for number in range(20))

_UDP_SIZE = 512


@dataclass
class Asked:
    """One query as it arrived, and the function that replies."""

    message: dns.message.Message
    transport: str
    reply: Callable[[bytes], None]
    peer: tuple[str, int]


Answer = Callable[[Asked], Awaitable[None]]


@dataclass
class DnsServer:
    """A running name server: its port, and the queries it received."""

    port: int
    asked: list[Asked] = field(default_factory=list)

    def target(self, host: str = "127.0.0.1") -> str:
        return f"dns://{f'[{host}]' if ':' in host else host}:{self.port}"


def answering(zone: str = ZONE + LARGE) -> Answer:
    """Answer from a zone as an authoritative server does."""
    read = dns.zone.from_text(zone, relativize=False)
    origin = read.origin
    assert origin is not None

    async def answer(asked: Asked) -> None:
        response = dns.message.make_response(asked.message)
        response.flags |= dns.flags.AA
        (question,) = asked.message.question
        name = question.name
        if not name.is_subdomain(origin):
            response.set_rcode(dns.rcode.REFUSED)
        else:
            found = read.get_rrset(name, question.rdtype) or read.get_rrset(name, dns.rdatatype.CNAME)
            if found is not None:
                response.answer.append(found)
            elif read.get_node(name) is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
            if found is None:
                soa = read.get_rrset(origin, dns.rdatatype.SOA)
                assert soa is not None
                response.authority.append(soa)
        small = asked.transport == "udp"
        asked.reply(response.to_wire(max_size=_UDP_SIZE if small else 65_535, prefer_truncation=small))

    return answer


def with_rcode(rcode: str) -> Answer:
    """Answer every query with a response code only."""

    async def answer(asked: Asked) -> None:
        response = dns.message.make_response(asked.message)
        response.set_rcode(dns.rcode.from_text(rcode))
        asked.reply(response.to_wire())

    return answer


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[Asked], None]) -> None:
        self._take = take

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        def reply(message: bytes) -> None:
            self._transport.sendto(message, addr)  # type: ignore[attr-defined]

        self._take(Asked(dns.message.from_wire(data), "udp", reply, addr))


@asynccontextmanager
async def naming(
    answer: Answer, host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[DnsServer]:
    """Run a name server that passes each query to ``answer``; with ``tls`` its connections are encrypted."""
    tasks: set[asyncio.Task[None]] = set()

    def take(asked: Asked) -> None:
        server.asked.append(asked)
        task = asyncio.ensure_future(answer(asked))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)

        def reply(message: bytes) -> None:
            writer.write(len(message).to_bytes(2, "big") + message)

        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                message = dns.message.from_wire(await reader.readexactly(length))
                take(Asked(message, "tcp", reply, writer.get_extra_info("peername")))
        writer.close()
        tasks.discard(task)

    datagrams = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    listener: asyncio.Server | None = None
    while listener is None:  # until a port is free for both
        datagrams.close()
        datagrams = socket.socket(datagrams.family, socket.SOCK_DGRAM)
        datagrams.bind((host, 0))
        datagrams.setblocking(False)
        with suppress(OSError):
            listener = await asyncio.start_server(connected, host, datagrams.getsockname()[1], ssl=tls)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Datagrams(take), sock=datagrams)
    server = DnsServer(datagrams.getsockname()[1])
    try:
        yield server
    finally:
        listener.close()
        transport.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
