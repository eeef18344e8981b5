"""The truth about exchanges, written ahead of effect beside the truth log.

``exchanges.ndjson``: a line per client, service and slot: ``{slot, client, service, count, ok, bus_failures,
provider_failures, orphans, request_bytes, response_bytes, duration_ms, skew_ms, skew_count, records, repeated, late,
duration_buckets}``.
An exchange belongs to the slot of its request as its client's security server stamped it, or the provider's where only
that logged it, and so do all its records. ``orphans`` have one side only; ``duration_ms`` and ``skew_ms`` (provider's
clock less client's, over the ``skew_count`` with both sides) are sums, ``duration_buckets`` how many took at most
2^(i/2) ms and more than those before, the last one without a bound; of its ``records``, ``repeated`` come again and
``late`` a slot or more after the exchange. Slots follow each other without a gap, also where the sandbox was away.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from services.core.errors import StateError
from services.core.model import DURATION_BUCKETS
from services.sandbox.exchanges.exchange import Exchange
from services.sandbox.exchanges.traffic import Traffic

__all__ = ["ExchangeTruth", "truths"]

_AHEAD = 2
_COUNTS = (
    "count",
    "ok",
    "bus_failures",
    "provider_failures",
    "orphans",
    "request_bytes",
    "response_bytes",
    "duration_ms",
    "skew_ms",
    "skew_count",
    "records",
    "repeated",
    "late",
)


def truths(traffic: Traffic, slot: int) -> list[dict[str, object]]:
    """Return the lines of a slot, by client and service."""
    seconds = traffic.times.slot
    rows: dict[tuple[str, str], tuple[dict[str, int], list[int]]] = {}
    for each in (slot - 1, slot, slot + 1):  # clocks that are off may put an exchange into a slot beside its own
        for exchange in traffic.of(each):
            if exchange.seen.stamps[0] // 1000 // seconds == slot:
                key = exchange.route.client, exchange.route.service
                _add(*rows.setdefault(key, (dict.fromkeys(_COUNTS, 0), [0] * DURATION_BUCKETS)), exchange, seconds)
    return [
        {"slot": slot, "client": client, "service": service, **row, "duration_buckets": buckets}
        for (client, service), (row, buckets) in sorted(rows.items())
    ]


def _bucket(duration_ms: int) -> int:
    """Find the first i with 2^i at least the duration squared, in whole numbers: nothing is rounded."""
    return min(max(0, duration_ms**2 - 1).bit_length(), DURATION_BUCKETS - 1)


def _add(row: dict[str, int], buckets: list[int], exchange: Exchange, seconds: int) -> None:
    views = [view for view in (exchange.client, exchange.producer) if view]
    begin, *_, end = exchange.seen.stamps
    row["count"] += 1
    row[exchange.ending] += 1
    row["orphans"] += len(views) == 1
    row["request_bytes"] += exchange.request_bytes
    row["response_bytes"] += exchange.response_bytes
    row["duration_ms"] += end - begin
    buckets[_bucket(end - begin)] += 1
    if exchange.skew_ms is not None:
        row["skew_ms"] += exchange.skew_ms
        row["skew_count"] += 1
    for view in views:
        row["records"] += len(view.logged)
        row["repeated"] += len(view.logged) - 1
        row["late"] += view.logged[0] - view.stamps[-1] // 1000 > seconds


class ExchangeTruth:
    """The log of a run, kept ahead. StateError when it cannot be written."""

    def __init__(self, path: Path, traffic: Traffic, *, go_on: bool) -> None:
        """Begin the log; ``go_on`` keeps its lines, but those of the last slot, which may not be whole."""
        self._path, self._traffic = path, traffic
        self._slot = traffic.first_slot - 1
        try:
            kept = list(_lines(path)) if go_on and path.exists() else []
            if kept:
                self._slot = max(slot for slot, _ in kept)
            draft = path.with_suffix(".new")
            draft.write_bytes(b"".join(line for slot, line in kept if slot < self._slot))
            draft.replace(path)
            self._file = path.open("ab")
        except OSError as error:
            raise _unwritable(path, error) from error

    def advance(self, slot: int) -> None:
        """Write all that will be exchanged up to two slots after ``slot``; to be called every slot."""
        lines = []
        while self._slot <= slot + _AHEAD:
            lines += [orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in truths(self._traffic, self._slot)]
            self._slot += 1
        try:
            self._file.write(b"".join(lines))
            self._file.flush()
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Slot and line of all that was written whole; a line torn by a crash ends the log."""
    with path.open("rb") as file:
        for line in file:
            try:
                yield orjson.loads(line)["slot"], line
            except ValueError:
                return


def _unwritable(path: Path, error: OSError) -> StateError:
    return StateError(f"the sandbox cannot write {path}: {error.strerror}; make room or choose another --data")
