"""Writes the log of the true exchanges, before they take effect.

``exchanges.ndjson``, beside the truth log: a line per client, service and slot: ``{slot, client, service, count, ok,
bus_failures, provider_failures, orphans, request_bytes, response_bytes, duration_ms, skew_ms, skew_count, records,
repeated, late, duration_buckets}``.
* The slot of an exchange is that of its request, by the time stamp of the client's security server, or of the provider's
  if only that one logged it.
* ``orphans`` were logged by one side only.
* ``duration_ms`` is a sum. ``skew_ms`` is the sum of the provider's clock minus the client's over the ``skew_count``
  exchanges with both sides.
* ``duration_buckets[i]`` counts durations up to 2^(i/2) ms that are above the previous bucket; the last has no bound.
* ``repeated`` of the ``records`` are copies; ``late`` ones are logged more than a slot after the exchange.

Every slot has its lines, including those during which the sandbox did not run.
"""

from __future__ import annotations

from pathlib import Path

from services.core.model import DURATION_BUCKETS
from services.sandbox.exchanges import SimulatedExchange, SimulatedTraffic
from services.sandbox.logs.json_lines import JsonLinesFile, encode_line, read_lines

_AHEAD = 2
"""Slots that the log is ahead of the exchanges."""

_COUNTS = (
    *("count", "ok", "bus_failures", "provider_failures", "orphans"),
    *("request_bytes", "response_bytes", "duration_ms", "skew_ms", "skew_count"),
    *("records", "repeated", "late"),
)


def exchange_rows(traffic: SimulatedTraffic, slot: int) -> list[dict[str, object]]:
    """Return the rows of a slot, by client and service."""
    seconds = traffic.times.slot
    rows: dict[tuple[str, str], tuple[dict[str, int], list[int]]] = {}
    for number in (slot - 1, slot, slot + 1):  # clocks that are off may move an exchange into a neighbouring slot
        for exchange in traffic.of(number):
            if exchange.seen.stamps[0] // 1000 // seconds == slot:
                key = exchange.route.client, exchange.route.service
                _add(*rows.setdefault(key, (dict.fromkeys(_COUNTS, 0), [0] * DURATION_BUCKETS)), exchange, seconds)
    return [
        {"slot": slot, "client": client, "service": service, **row, "duration_buckets": buckets}
        for (client, service), (row, buckets) in sorted(rows.items())
    ]


def _bucket(duration_ms: int) -> int:
    """Return the smallest i with 2^i at least the squared duration. Integers keep it exact."""
    return min(max(0, duration_ms**2 - 1).bit_length(), DURATION_BUCKETS - 1)


def _add(row: dict[str, int], buckets: list[int], exchange: SimulatedExchange, seconds: int) -> None:
    sides = [side for side in (exchange.client, exchange.producer) if side]
    begin, *_, end = exchange.seen.stamps
    row["count"] += 1
    row[exchange.outcome] += 1
    row["orphans"] += len(sides) == 1
    row["request_bytes"] += exchange.request_bytes
    row["response_bytes"] += exchange.response_bytes
    row["duration_ms"] += end - begin
    buckets[_bucket(end - begin)] += 1
    if exchange.skew_ms is not None:
        row["skew_ms"] += exchange.skew_ms
        row["skew_count"] += 1
    for side in sides:
        row["records"] += len(side.logged)
        row["repeated"] += len(side.logged) - 1
        row["late"] += side.logged[0] - side.stamps[-1] // 1000 > seconds


class ExchangeLog(JsonLinesFile):
    """The log of a run, written ahead of the exchanges. Raises StateError when it cannot be written."""

    def __init__(self, path: Path, traffic: SimulatedTraffic, *, resumed: bool) -> None:
        """Open the log. A resumed log drops the lines of its last slot, which may be incomplete, and writes them again."""
        self._traffic = traffic
        kept = [(row["slot"], line) for row, line in read_lines(path)] if resumed and path.exists() else []
        self._slot = max((slot for slot, _ in kept), default=traffic.first_slot - 1)
        super().__init__(path, [line for slot, line in kept if slot < self._slot])

    def due(self, slot: int) -> range:
        """Return the slots to write, one after the other, while ``slot`` is in effect: up to two slots after it."""
        return range(self._slot, slot + _AHEAD + 1)

    def write(self, slot: int) -> None:
        """Write the exchanges of the next slot. Drawing a slot of minutes takes a second."""
        self.append(encode_line(row) for row in exchange_rows(self._traffic, slot))
        self._slot = slot + 1
