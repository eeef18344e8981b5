"""A trap at addresses that the egress rules must block, such as that of a metadata service.

It stands at 127.0.0.66, which the rules then refuse like 169.254.169.254. It listens on every address of this machine
at its port, and records the address of each connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from itertools import count

import pytest

from services.core.model.register import Egress
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport import egress
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.servers.http_server import Handler, Request
from tests.support.servers.name_server import NameServer, name_server

FORBIDDEN = "127.0.0.66"
EVERYTHING = Egress(("0.0.0.0/0", "::/0"), allow_loopback=True)
NAMES = {
    "inside.test": [FORBIDDEN],
    "mapped.test": ["::ffff:127.0.0.66"],
    "translated.test": ["64:ff9b::7f00:42"],
    "six.test": ["::1"],
    "unspecified.test": ["0.0.0.0", "::"],
    "alias.test": ["inside.test"],
    "alias-of-alias.test": ["alias.test"],
    "2130706498": [FORBIDDEN],
    "0x7f.0.0.0x42": [FORBIDDEN],
    "0x7f000042": [FORBIDDEN],
    "017700000102": [FORBIDDEN],
    "127.66": [FORBIDDEN],
    "127.0.66": [FORBIDDEN],
    "127.0.0.66": [FORBIDDEN],
    "0": ["0.0.0.0"],
}
"""Names include numbers: even a name server that reads these as addresses must open nothing."""


@dataclass
class Trap:
    """The trap: its port, and the addresses at which a connection arrived."""

    port: int
    caught: list[str] = field(default_factory=list)


@asynccontextmanager
async def trapping(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Trap]:
    """Run the trap at addresses that the rules block whatever the policy allows."""
    refused = (*egress._REFUSED, ip_network(FORBIDDEN), ip_network("::1"))
    monkeypatch.setattr(egress, "_REFUSED", refused)

    def came(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        trap.caught.append(writer.get_extra_info("sockname")[0])
        writer.close()

    bound = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    trap = Trap(bound.getsockname()[1])
    async with await asyncio.start_server(came, sock=bound):
        yield trap


@asynccontextmanager
async def way_out(
    names: dict[str, list[str]] = NAMES, *, changing: bool = False
) -> AsyncIterator[tuple[NameServer, ProbeEnvironment]]:
    """An Outbound with the most permissive policy and no name cache."""
    ages = count(0, 1000)
    async with name_server(names, ttl=0, changing=changing, clock=lambda: float(next(ages))) as (server, resolver):
        environment = ProbeEnvironment(Outbound(egress=EgressRules(EVERYTHING), resolver=resolver))
        yield server, environment
        await environment.tokens.close()


def leading(location: str, status: int = 302) -> Handler:
    """A handler that redirects every request."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        writer.write(head.encode())

    return handle
