"""One question in one datagram, and the answer to it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from ipaddress import ip_address
from time import perf_counter
from typing import Generic, TypeVar

__all__ = ["query_udp"]

T = TypeVar("T")


class _Exchange(asyncio.DatagramProtocol, Generic[T]):
    """Waits for the first datagram that ``read`` finds to be the answer."""

    def __init__(self, read: Callable[[bytes], T | None]) -> None:
        self.answered: asyncio.Future[tuple[T, float]] = asyncio.get_running_loop().create_future()
        self._read = read

    def datagram_received(self, data: bytes, _: object) -> None:
        """Take the answer, and nothing else."""
        if self.answered.done():
            return
        try:
            answer = self._read(data)
        except Exception as error:  # noqa: BLE001 - a loop swallows what its callbacks raise
            self.answered.set_exception(error)
        else:
            if answer is not None:
                self.answered.set_result((answer, perf_counter()))

    def error_received(self, error: Exception) -> None:
        """Take note that the datagram could not be sent, or was refused where it arrived."""
        if not self.answered.done():
            self.answered.set_exception(error)


async def query_udp(address: str, port: int, data: bytes, read: Callable[[bytes], T | None]) -> tuple[T, float]:
    """Send a datagram to an IP address; return what ``read`` makes of the answer, and when it came (perf_counter).

    ``read`` returns None for what is not the answer. Only this address and port are heard. Raises OSError, and what
    ``read`` raises. Waits for ever: the caller has the deadline.
    """
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    plug = socket.socket(family, socket.SOCK_DGRAM)
    try:
        plug.setblocking(False)
        plug.connect((address, port))
        transport, protocol = await loop.create_datagram_endpoint(lambda: _Exchange(read), sock=plug)
    except BaseException:
        plug.close()
        raise
    try:
        transport.sendto(data)
        return await protocol.answered
    finally:
        transport.abort()
