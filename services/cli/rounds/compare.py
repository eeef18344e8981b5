"""Compares the numbers of two rounds: what moved beyond chance (docs/rounds.md §4). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from services.core.model import Indicator, IndicatorKind

COMPARED: Final = (IndicatorKind.GOVERNMENT, IndicatorKind.SECTOR, IndicatorKind.CONSUMER, IndicatorKind.PROVIDER)

_TENTH: Final = 10
"""Windows of days may differ by a tenth, as months and quarters do, and are compared."""

Bands = Mapping[tuple[IndicatorKind, str], tuple[int, int]]
"""The best and the worst rank of agencies by role."""


@dataclass(frozen=True, slots=True)
class Move:
    """The estimates of one entity in two rounds."""

    kind: IndicatorKind
    id: str
    before: float
    now: float


@dataclass(frozen=True, slots=True)
class Moves:
    """What changed since the round ``previous``.

    ``beyond_chance`` are the entities whose intervals do not meet, largest change first. ``bands`` are the agencies
    whose bands of ranks do not meet. ``only_before`` and ``only_now`` are in one round alone: the register changed, not
    their behaviour.

    Indexes of another method, or over many more days, are no measure of a change. ``methods`` and ``windows`` are then
    those of the two rounds, if they differ, and ``beyond_chance`` and ``bands`` are empty.
    """

    previous: str
    beyond_chance: tuple[Move, ...]
    bands: tuple[tuple[IndicatorKind, str], ...]
    only_before: tuple[tuple[IndicatorKind, str], ...]
    only_now: tuple[tuple[IndicatorKind, str], ...]
    methods: tuple[str, str] | None = None
    windows: tuple[int, int] | None = None

    @property
    def are_compared(self) -> bool:
        """Whether the indexes of the two rounds were compared."""
        return self.methods is None and self.windows is None


def compare(
    previous: str,
    before: Iterable[Indicator],
    now: Iterable[Indicator],
    former_bands: Bands = MappingProxyType({}),
    bands: Bands = MappingProxyType({}),
) -> Moves:
    """Return what changed between the indicators, and the bands of ranks, of two rounds."""
    former, later = _keyed(before), _keyed(now)
    methods, windows = _unlike(former.values(), later.values())
    alike = methods is None and windows is None
    moves = [
        Move(*key, row.point, later[key].point)  # type: ignore[arg-type]  # an interval has a point in it
        for key, row in former.items()
        if alike and key in later and _apart(row, later[key])
    ]
    return Moves(
        previous,
        tuple(sorted(moves, key=lambda move: (-abs(move.now - move.before), move.kind, move.id))),
        tuple(
            sorted(
                key
                for key, (low, high) in bands.items()
                if alike and key in former_bands and (high < former_bands[key][0] or former_bands[key][1] < low)
            )
        ),
        tuple(sorted(former.keys() - later.keys())),
        tuple(sorted(later.keys() - former.keys())),
        methods,
        windows,
    )


def _unlike(
    before: Iterable[Indicator], now: Iterable[Indicator]
) -> tuple[tuple[str, str] | None, tuple[int, int] | None]:
    """Return the methods of two rounds if they differ, and their days if they differ by more than a tenth."""
    one, other = next(iter(before), None), next(iter(now), None)
    if one is None or other is None:
        return None, None
    methods, windows = (one.method_version, other.method_version), (one.window_days, other.window_days)
    return (
        None if methods[0] == methods[1] else methods,
        windows if _TENTH * abs(windows[0] - windows[1]) > max(windows) else None,
    )


def _keyed(rows: Iterable[Indicator]) -> Mapping[tuple[IndicatorKind, str], Indicator]:
    return {(row.kind, row.id): row for row in rows if row.kind in COMPARED}


def _apart(one: Indicator, other: Indicator) -> bool:
    """Return whether both have an interval, and these do not meet."""
    if one.interval is None or other.interval is None or one.point is None or other.point is None:
        return False
    return one.interval.high < other.interval.low or other.interval.high < one.interval.low
