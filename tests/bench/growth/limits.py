"""Measure the most that this machine can do of the basic work behind all figures, each for about a second."""

from __future__ import annotations

import os
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from tests.bench.growth.points import LIMIT, point
from tests.bench.meters.process import machine
from tests.bench.targets.target import certificate

__all__ = ["limits"]

_ROUNDS: Final = 5
_ROUND_SECONDS: Final = 0.3
_MOST_TIMES: Final = 100_000
_COPIED: Final = 64 << 20  # bytes, more than the caches of a core hold
_HASHED: Final = 1 << 20
_SYNCED: Final = 4096
_ASKED: Final = 64


def limits() -> Iterator[str]:
    """Measure each limit, and yield a line for each."""
    yield machine()
    with tempfile.TemporaryDirectory(prefix="peyvand-bench-", dir=Path.cwd()) as folder:
        for name, told, a_second, unit in (
            ("limit_copy", "bytes copied in memory", _copied() / 2**30, "GiB/s"),
            ("limit_hash", "bytes hashed by BLAKE2b", _hashed() / 2**20, "MiB/s"),
            (
                "limit_handshake",
                "fresh TLS handshakes of OpenSSL, both sides, without a network",
                _handshakes(Path(folder)),
                "/s",
            ),
            (
                "limit_sync",
                f"{_SYNCED} bytes written and synced, in the present directory",
                _synced(Path(folder)),
                "/s",
            ),
            ("limit_ask", "questions and answers over a connection on loopback", _asked(), "/s"),
        ):
            yield f"  {told}: {a_second:,.1f} {unit}"
            yield point(name, LIMIT, a_second * {"GiB/s": 2**30, "MiB/s": 2**20, "/s": 1}[unit])


def _a_second(work: Callable[[], object]) -> float:
    """Return how many times a second the work is done: the median of some rounds."""
    found = []
    for _ in range(_ROUNDS):
        begun, times = time.perf_counter(), 0
        while times < _MOST_TIMES and time.perf_counter() - begun < _ROUND_SECONDS:
            work()
            times += 1
        found.append(times / (time.perf_counter() - begun))
    return median(found)


def _copied() -> float:
    source = np.ones(_COPIED, np.uint8)
    target = np.empty_like(source)
    return _a_second(lambda: np.copyto(target, source)) * _COPIED


def _hashed() -> float:
    block = bytes(_HASHED)
    return _a_second(lambda: blake2b(block).digest()) * _HASHED


def _handshakes(folder: Path) -> float:
    pem = certificate(folder)
    serving, asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(pem))
    serving.load_cert_chain(pem)

    def shake() -> None:
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        sides = [
            asking.wrap_bio(back, there, server_hostname="127.0.0.1"),
            serving.wrap_bio(there, back, server_side=True),
        ]
        while sides:
            for side in tuple(sides):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                sides.remove(side)

    return _a_second(shake)


def _synced(folder: Path) -> float:
    block = bytes(_SYNCED)
    file = os.open(folder / "synced", os.O_CREAT | os.O_WRONLY)

    def sync() -> None:
        os.pwrite(file, block, 0)
        os.fdatasync(file)

    try:
        return _a_second(sync)
    finally:
        os.close(file)


def _asked() -> float:
    """One thread does both sides, so that no wake-up is counted."""
    block = bytes(_ASKED)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as asking:
        answering, _ = server.accept()

        def ask() -> None:
            asking.sendall(block)
            answering.sendall(answering.recv(_ASKED))
            asking.recv(_ASKED)

        with answering:
            return _a_second(ask)
