"""One query in one datagram, and its answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from ipaddress import ip_address
from time import perf_counter

from services.prober.observation import DnsFacts


class _Exchange(asyncio.DatagramProtocol):
    """Waits for the first datagram that ``parse`` recognises as the answer."""

    def __init__(self, parse: Callable[[bytes], DnsFacts | None]) -> None:
        self.answer: asyncio.Future[tuple[DnsFacts, float]] = asyncio.get_running_loop().create_future()
        self._parse = parse

    def datagram_received(self, data: bytes, _: object) -> None:
        """Resolve the future if this is the answer, or if parsing fails."""
        if self.answer.done():
            return
        try:
            answer = self._parse(data)
        except Exception as error:  # noqa: BLE001 - a loop swallows what its callbacks raise
            self.answer.set_exception(error)
        else:
            if answer is not None:
                self.answer.set_result((answer, perf_counter()))

    def error_received(self, error: Exception) -> None:
        """Fail: the datagram could not be sent, or was refused by its destination."""
        if not self.answer.done():
            self.answer.set_exception(error)


async def query_udp(
    address: str, port: int, data: bytes, parse: Callable[[bytes], DnsFacts | None]
) -> tuple[DnsFacts, float]:
    """Send a datagram to an IP address; return what ``parse`` makes of the answer, and when it came (perf_counter).

    ``parse`` returns None for what is not the answer. Datagrams from other addresses and ports are ignored. Raises OSError,
    and what ``parse`` raises. Waits without limit: the caller has the deadline.
    """
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect((address, port))
        transport, protocol = await loop.create_datagram_endpoint(lambda: _Exchange(parse), sock=sock)
    except BaseException:
        sock.close()
        raise
    try:
        transport.sendto(data)
        return await protocol.answer
    finally:
        transport.abort()
