"""Free ports of loopback for tests and benchmarks that run side by side."""

from __future__ import annotations

import itertools
import os
import random
import socket
from collections.abc import Iterable

__all__ = ["SANDBOX_HOST", "free_base_port", "free_first_port", "free_port"]

_LOWEST, _HIGHEST = 8_000, 32_000  # below the ports the kernel gives to outgoing connections
_WORKERS = 8
_given: set[int] = set()
SANDBOX_HOST = "127.3.0.1"  # every sandbox listens here on its first port, and on no more than _SPAN ports after it
_SPAN = 1000


def _share() -> range:
    """Return the port range of this process. Parallel test processes use disjoint ranges."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    share = (_HIGHEST - _LOWEST) // _WORKERS
    return range(_LOWEST + worker * share, _LOWEST + (worker + 1) * share)


_starts = _share()[: 1 - _SPAN : _SPAN]  # none of their spans ends in the range of another process
_bases = itertools.cycle(random.SystemRandom().sample(_starts, len(_starts)))


def _are_free(host: str, ports: Iterable[int]) -> bool:
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def _first_of(*offsets: int) -> int:
    """Return a random port that is free, as are those at these offsets. No port of the span is returned again."""
    share, room = _share(), max(offsets) + 1
    chance = random.SystemRandom()
    for _ in range(1000):
        port = share.start + chance.randrange(len(share) - room)
        reserved = range(port, port + room)
        if _given.isdisjoint(reserved) and _are_free("127.0.0.1", (port + offset for offset in offsets)):
            _given.update(reserved)
            return port
    raise RuntimeError("no free port is left for tests")


def free_port() -> int:
    """Return a free port outside the range of outgoing connections, so it stays free until a process listens on it."""
    return _first_of(0)


def free_first_port() -> int:
    """Return a port P such that P (gRPC), P+2 (bus), P+3 (its health) and P+11 to P+16 (/metrics) are free."""
    return _first_of(0, 2, 3, *range(11, 17))


def free_base_port() -> int:
    """Return a first port for a sandbox, which then overlaps with no other one, even one that does not listen yet.

    Ports are given out in turn, so one repeats only after all others.
    """
    for port in itertools.islice(_bases, 1000):
        if _are_free(SANDBOX_HOST, range(port, port + _SPAN)):
            return port
    raise RuntimeError(f"no {_SPAN} free ports in a row are left for the sandboxes of tests")
