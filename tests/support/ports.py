"""Free ports of loopback for tests and benchmarks that run side by side."""

from __future__ import annotations

import itertools
import os
import random
import socket
from collections.abc import Iterable

__all__ = ["free_base_port", "free_first_port", "free_port"]

_LOWEST, _HIGHEST = 10_000, 30_000  # below the ports the kernel gives to outgoing connections
_WORKERS = 4
_given: set[int] = set()
_SANDBOX_HOST = "127.3.0.1"  # every sandbox listens here on its first port, and on no more than _SPAN ports after it
_SPAN = 1000


def _share() -> range:
    """The ports of this process: those who test side by side draw from ranges of their own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    share = (_HIGHEST - _LOWEST) // _WORKERS
    return range(_LOWEST + worker * share, _LOWEST + (worker + 1) * share)


_bases = itertools.cycle(random.SystemRandom().sample(_share()[::_SPAN], len(_share()[::_SPAN])))


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
    """A port by chance that is free with those at these offsets; none of the ports between them is given again."""
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
    """A port that nobody listens on, and that the kernel gives to no connection while a process gets ready to listen there."""
    return _first_of(0)


def free_first_port() -> int:
    """A port P such that P (gRPC), P+2 (bus) and P+11 to P+16 (/metrics) are free."""
    return _first_of(0, 2, *range(11, 17))


def free_base_port() -> int:
    """A first port for a sandbox that meets no other sandbox, not even one that got its port but does not listen yet.

    They are given in turn, so that one comes again only when all others were given.
    """
    for port in itertools.islice(_bases, 1000):
        if _are_free(_SANDBOX_HOST, range(port, port + _SPAN)):
            return port
    raise RuntimeError(f"no {_SPAN} free ports in a row are left for the sandboxes of tests")
