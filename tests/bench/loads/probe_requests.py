"""Request /probe of blackbox_exporter at planned moments, and find the highest rate that it can do.

The load is open: a request is made when it is due, however many are still in flight. Connections stay, as Prometheus
keeps them. Each latency counts from the moment when the probe was due, so that a backlog cannot hide.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import uvloop

__all__ = ["ENOUGH", "Asked", "ask", "highest_rate"]

ENOUGH: Final = 0.999
"""The share of probes that must succeed for a rate to be one that the exporter can do."""

_LEAST_RATE: Final = 100  # a second
_MOST_RATE: Final = 50_000
_FINER: Final = 5  # how often the gap between a rate that it can do and one that it cannot is halved
_MOST_UNDER_WAY: Final = 4000  # beyond it a probe counts as failed without being requested
_LOOK_SECONDS: Final = 0.01
_CHUNK: Final = re.compile(rb"\r\n[0-9a-f]+\r\n")
_SUCCEEDED: Final = b"\nprobe_success 1\n"


@dataclass(slots=True)
class Asked:
    """The result of one rate: the number of due probes, and the seconds from due to answer of those OK in time."""

    rate: float
    due: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The share that succeeded in time."""
        return len(self.latencies) / self.due if self.due else 0.0


class _Connection(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self, asking: _Asking) -> None:
        self._asking = asking
        self._answer = bytearray()
        self._due = 0.0

    def ask(self, due: float, request: bytes) -> None:
        self._due = due
        self.transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport  # uvloop's is no subclass of asyncio's

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, ended, body = self._answer.partition(b"\r\n\r\n")
        if not ended:
            return
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), None
        )
        if len(body) == length if length is not None else body.endswith(b"0\r\n\r\n"):
            succeeded = _SUCCEEDED in _CHUNK.sub(b"", body)  # a line may be split between two chunks
            self._answer.clear()
            self._asking.answered(self, self._due, succeeded=succeeded)

    def connection_lost(self, _error: Exception | None) -> None:
        self._asking.lost(self)


class _Asking:
    def __init__(self, port: int, requests: Sequence[bytes], timeout: float) -> None:
        self._port, self._requests, self._timeout = port, requests, timeout
        self._free: list[_Connection] = []
        self._all: set[_Connection] = set()
        self._opening = 0
        self.counted: Asked | None = None

    def answered(self, connection: _Connection, due: float, *, succeeded: bool) -> None:
        self._free.append(connection)
        took = time.perf_counter() - due
        if self.counted and due >= self._from and succeeded and took <= self._timeout:
            self.counted.latencies.append(took)

    def lost(self, connection: _Connection) -> None:
        self._all.discard(connection)
        if connection in self._free:
            self._free.remove(connection)

    async def _open(self, due: float, request: bytes) -> None:
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self), "127.0.0.1", self._port
            )
        except OSError:
            return
        finally:
            self._opening -= 1
        self._all.add(connection)
        connection.ask(due, request)

    async def run(self, rate: float, warm: float, seconds: float) -> Asked:
        """Send requests at this rate. Those due in the first ``warm`` seconds are not counted."""
        start = time.perf_counter()
        self._from, self.counted = start + warm, Asked(rate)
        tasks: set[asyncio.Task[None]] = set()
        for number in range(int(rate * (warm + seconds))):
            due = start + number / rate
            if due > time.perf_counter():
                await asyncio.sleep(due - time.perf_counter())
            self.counted.due += due >= self._from
            if self._free:
                self._free.pop().ask(due, self._requests[number % len(self._requests)])
            elif len(self._all) + self._opening < _MOST_UNDER_WAY:
                self._opening += 1
                tasks.add(task := asyncio.create_task(self._open(due, self._requests[number % len(self._requests)])))
                task.add_done_callback(tasks.discard)
            if number % 64 == 0:
                await asyncio.sleep(0)  # so that answers are read even while requests are late
        for _ in range(math.ceil(self._timeout / _LOOK_SECONDS)):
            if not tasks and len(self._free) == len(self._all):
                break
            await asyncio.sleep(_LOOK_SECONDS)
        counted, self.counted = self.counted, None
        for connection in tuple(self._all):
            connection.transport.abort()
        return counted


def ask(port: int, module: str, targets: Sequence[str], rate: float, seconds: float, timeout: float) -> Asked:
    """Ask the exporter on ``port`` to probe the targets in turn, ``rate`` times a second for so many seconds."""
    requests = [
        f"GET /probe?module={module}&target={quote(target, safe='')} HTTP/1.1\r\nHost: exporter\r\n\r\n".encode()
        for target in targets
    ]
    return uvloop.run(_Asking(port, requests, timeout).run(rate, seconds / 4, seconds))


def highest_rate(port: int, module: str, targets: Sequence[str], seconds: float, timeout: float) -> Iterator[Asked]:
    """Yield the result of each rate that is tried. The highest with a share of ENOUGH is what the exporter can do.

    Each is tried for ``seconds``. The rate doubles until the exporter cannot follow. Then the gap is halved a few
    times. A rate that it cannot do is tried again.
    """
    good, bad, rate = 0.0, 0.0, float(_LEAST_RATE)
    finer = 0
    while finer < _FINER and rate <= _MOST_RATE:
        found = ask(port, module, targets, rate, seconds, timeout)
        if found.share < ENOUGH:  # something else may have taken the CPU for a moment
            again = ask(port, module, targets, rate, seconds, timeout)
            found = max(found, again, key=lambda one: one.share)
        yield found
        if found.share >= ENOUGH:
            good = rate
        else:
            bad = rate
        finer += bad > 0
        rate = (good + bad) / 2 if bad else 2 * rate
