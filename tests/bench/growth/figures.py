"""The figures whose growth is shown, and the best that the machine could do for each. Pure.

A limit is the least work for a figure, as measured on the machine: to copy or hash its bytes once, to sync once, to
ask and answer over a connection, or to shake hands over TLS. Nothing can be faster without doing less. The difference
is our own cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["FIGURES", "PROBED_SECONDS", "Figure", "Points"]

Points = Mapping[str, Mapping[int, float]]
"""Values by figure and size; a limit of the machine has the size 0."""


PROBED_SECONDS: Final = 300
"""How often each link is probed in the figure of probing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture: measured series (names of points to labels), and the limit at a size where it is known.

    ``limit`` says what the limit is, "" for none. ``sizes`` are those of the axis, and ``counted`` what they count.
    """

    name: str
    title: str
    unit: str
    series: Mapping[str, str]
    limit: str
    limit_of: Callable[[Points, int], float | None]
    aim: Mapping[int, float] | None = None
    sizes: Sequence[int] = (1_000, 10_000, 100_000, 1_000_000)
    counted: str = "links"


def _bytes_at(rate: str, of: str) -> Callable[[Points, int], float | None]:
    """Return a function for the seconds that the machine takes, by a rate, for the bytes measured at a size."""

    def limit(points: Points, size: int) -> float | None:
        count, a_second = points.get(of, {}).get(size), points.get(rate, {}).get(0)
        return count / a_second if count and a_second else None

    return limit


def _settled(points: Points, size: int) -> float | None:
    copied, syncs = _bytes_at("limit_copy", "publishing_bytes")(points, size), points.get("limit_sync", {}).get(0)
    return copied + 1 / syncs if copied and syncs else None


def _call(points: Points, _size: int) -> float | None:
    asked = points.get("limit_ask", {}).get(0)
    return 1e6 / asked if asked else None


def _handshakes(points: Points, size: int) -> float | None:
    """Return the share of a core, in %, for the client's half of a handshake with each link."""
    a_second = points.get("limit_handshake", {}).get(0)
    return 100 * size / PROBED_SECONDS / (2 * a_second) if a_second else None


def _none(_points: Points, _size: int) -> None:
    return None


def _evidence(points: Points, size: int) -> float | None:
    kept = points.get("evidence_bytes", {}).get(size)
    return kept / 2**20 if kept else None


FIGURES: Final = (
    Figure(
        "probing",
        "Prober, bus and scorer: CPU, a probe every 5 minutes",
        "%",
        {"probing_http": "plain HTTP", "probing_tls": "fresh TLS"},
        "half of a TLS handshake for each probe",
        _handshakes,
    ),
    Figure(
        "exchange",
        "Collector: exchange records taken in",
        "s",
        {"exchange": "decoded, paired and published, CPU"},
        "the log copied once",
        _bytes_at("limit_copy", "exchange_bytes"),
        {42_500_000: 1200.0},
        (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000),
        "records",
    ),
    Figure(
        "series",
        "Scorer: series on its page of metrics",
        "",
        {"scorer_series": "series"},
        "",
        _none,
        {100_000: 20_000.0},
    ),
    Figure(
        "take-in",
        "Scorer: a slot of measurements taken in",
        "s",
        {"take_in": "decoded, taken in and saved, CPU"},
        "their bytes copied once",
        _bytes_at("limit_copy", "take_in_bytes"),
    ),
    Figure(
        "points-and-bounds",
        "Scorer: points and bounds of every kind, one window",
        "s",
        {"points": "computed"},
        "the counts of links copied once",
        _bytes_at("limit_copy", "points_bytes"),
        {1_000_000: 0.1},
    ),
    Figure(
        "settled-slot",
        "From a settled slot to its index at the api",
        "s",
        {"settled": "answered, median"},
        "the blocks copied once, and one sync",
        _settled,
        {1_000_000: 10.0},
    ),
    Figure(
        "restart",
        "Scorer: a start until the next index, 90 days kept",
        "s",
        {"restart": "state read, index computed"},
        "the files hashed once by BLAKE2b",
        _bytes_at("limit_hash", "evidence_bytes"),
        {100_000: 30.0},
    ),
    Figure(
        "api-calls",
        "Api: one GetIndicator, 8 at once",
        "µs",
        {"api_call": "CPU of the api"},
        "a question and its answer over loopback",
        _call,
        {10_000: 200.0},
    ),
    Figure(
        "memory",
        "Memory of scorer and api",
        "MiB",
        {"scorer_memory": "scorer at rest", "api_memory": "api at its peak"},
        "the evidence as it is on disk",
        _evidence,
        {1_000_000: 1536.0},
    ),
    Figure(
        "publishing",
        "Scorer: every block cut, encoded and put",
        "s",
        {"publishing": "CPU"},
        "the blocks copied once",
        _bytes_at("limit_copy", "publishing_bytes"),
    ),
    Figure(
        "sealing",
        "Archive: a day of 5-minute slots sealed",
        "s",
        {"sealing": "CPU"},
        "the sealed files hashed once by BLAKE2b",
        _bytes_at("limit_hash", "sealing_bytes"),
        {10_000: 600.0},
    ),
    Figure(
        "round",
        "A round of 28 days verified; its days scored",
        "s",
        {"round_verify": "verified, CPU", "score_again": "scored again, CPU"},
        "its files hashed once by BLAKE2b",
        _bytes_at("limit_hash", "round_bytes"),
        {10_000: 60.0},
    ),
)
