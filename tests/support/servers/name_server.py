"""A name server on loopback, and a resolver that uses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from time import monotonic

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from services.prober.transport.resolver import Resolver


class NameServer(asyncio.DatagramProtocol):
    """Answers from a table of addresses and aliases, with NXDOMAIN for other names, or never when ``mute``.

    While ``rcode`` is set, every answer has this code and no records. Answers come ``delay`` seconds late. ``asked``
    lists the questions by name and type. With ``changing``, each question for a name gets its next
    address, and the last one from then on.
    """

    def __init__(
        self, names: dict[str, list[str]], *, mute: bool = False, ttl: int = 60, changing: bool = False
    ) -> None:
        self.names = names
        self.mute = mute
        self.ttl = ttl
        self.changing = changing
        self.asked: list[str] = []
        self.rcode: dns.rcode.Rcode | None = None
        self.delay = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question = dns.message.from_wire(data)
        asked = question.question[0]
        name = asked.name.to_text(omit_final_dot=True).lower()
        self.asked.append(f"{name}/{int(asked.rdtype)}")
        if self.mute:
            return
        reply = dns.message.make_response(question, recursion_available=True)
        if self.rcode is not None:
            reply.set_rcode(self.rcode)
        elif name not in self.names:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            self._answer(reply, name, asked.rdtype)
        send = self.transport.sendto  # type: ignore[attr-defined]
        asyncio.get_running_loop().call_later(self.delay, send, reply.to_wire(), addr)

    def _answer(self, reply: dns.message.Message, name: str, kind: dns.rdatatype.RdataType) -> None:
        entries = self.names.get(name, [])
        if self.changing:
            entries = entries[min(self.asked.count(f"{name}/{int(kind)}"), len(entries)) - 1 :][:1]
        for entry in entries:
            try:
                its_kind = "AAAA" if ip_address(entry).version == 6 else "A"
            except ValueError:
                reply.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", "CNAME", f"{entry}."))
                self._answer(reply, entry, kind)
            else:
                if its_kind == kind.name:
                    reply.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", its_kind, entry))


@asynccontextmanager
async def name_server(
    names: dict[str, list[str]],
    *,
    mute: bool = False,
    ttl: int = 60,
    changing: bool = False,
    clock: Callable[[], float] = monotonic,
) -> AsyncIterator[tuple[NameServer, Resolver]]:
    """Run a name server, with a resolver that uses it."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(names, mute=mute, ttl=ttl, changing=changing), ("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    resolver = Resolver([f"127.0.0.1:{port}"], clock)
    try:
        yield server, resolver
    finally:
        await resolver.close()
        transport.close()
