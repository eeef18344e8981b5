"""A name server for benchmarks: one fixed answer to one question, over UDP and over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import dns.message
import dns.rrset

from tests.bench.targets.apart import Urls

__all__ = ["ADDRESS", "NAME", "serving_dns"]

NAME = "www.bench.example"
ADDRESS = "192.0.2.1"
_ID = 2


def _messages() -> tuple[bytes, bytes]:
    """Return question and answer, each without its id."""
    question = dns.message.make_query(NAME, "A", id=0)
    answer = dns.message.make_response(question)
    answer.answer.append(dns.rrset.from_text(f"{NAME}.", 300, "IN", "A", ADDRESS))
    return question.to_wire()[_ID:], answer.to_wire()[_ID:]


_QUESTION, _ANSWER = _messages()


class _Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if data[_ID:] == _QUESTION:
            self._transport.sendto(data[:_ID] + _ANSWER, address)


class _Stream(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer. On loopback a prober's data comes in one piece."""
        if data[2 + _ID :] == _QUESTION:
            answer = data[2 : 2 + _ID] + _ANSWER
            self._transport.write(len(answer).to_bytes(2, "big") + answer)


@asynccontextmanager
async def serving_dns() -> AsyncIterator[Urls]:
    """Serve the one question over UDP, and over TCP on another port."""
    loop = asyncio.get_running_loop()
    datagrams, _ = await loop.create_datagram_endpoint(_Datagrams, ("127.0.0.1", 0))
    server = await loop.create_server(_Stream, "127.0.0.1", 0, backlog=4096)
    yield {
        "dns-udp": f"dns://127.0.0.1:{datagrams.get_extra_info('sockname')[1]}",
        "dns-tcp": f"dns://127.0.0.1:{server.sockets[0].getsockname()[1]}",
    }
    server.close()
    datagrams.close()
