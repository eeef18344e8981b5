"""Free ports of loopback for tests and benchmarks that run side by side."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator

__all__ = ["free_base_port", "free_first_port", "free_port"]

_LOWEST, _HIGHEST = 10_000, 30_000  # below the ports the kernel gives to outgoing connections
_WORKERS = 4
_tried: set[int] = set()
_SANDBOX_HOST = "127.3.0.1"  # every sandbox listens here on its first port, and on no more than _SPAN ports after it
_SPAN = 1000


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _tries(room: int = 0) -> Iterator[int]:
    """Ports to try with some room after them, none of them twice: those who test side by side draw from ranges of their own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    share = (_HIGHEST - _LOWEST) // _WORKERS
    chance = random.SystemRandom()
    for _ in range(1000):
        port = _LOWEST + worker * share + chance.randrange(share - room)
        if port not in _tried:
            _tried.add(port)
            yield port


def free_port() -> int:
    """A port that nobody listens on, and that the kernel gives to no connection while a process gets ready to listen there."""
    return next(port for port in _tries() if _is_free("127.0.0.1", port))


def free_first_port() -> int:
    """A port P such that P (gRPC), P+2 (bus) and P+11 to P+16 (/metrics) are free."""
    offsets = (0, 2, *range(11, 17))
    return next(port for port in _tries(20) if all(_is_free("127.0.0.1", port + offset) for offset in offsets))


def free_base_port() -> int:
    """A first port for a sandbox that meets no other sandbox."""
    return next(
        port
        for port in _tries(_SPAN)
        if all(_is_free(_SANDBOX_HOST, other) for other in range(port - _SPAN, port + _SPAN))
    )
