"""An IndicatorBlock as whoever answers from it keeps it: as it came, and read row by row when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from math import isnan

import numpy as np
from google.protobuf.message import DecodeError

from peyvand.v1 import block_pb2
from services.core.blocks.link_evidence import EvidenceColumns, evidence_from_message
from services.core.codec import (
    ExchangeVolume,
    reconciliation_from_message,
    structure_from_message,
    traffic_from_message,
    volume_from_message,
)
from services.core.model import (
    LOSS_STAGES,
    Indicator,
    IndicatorKind,
    Interval,
    Losses,
    Reconciliation,
    StrictShare,
    Structure,
    Traffic,
)

__all__ = ["COUNTS", "SHARES", "BlockReader", "IndicatorKey"]

_STRICT = ("strict_point", "strict_lower", "strict_upper")
_INTERVAL = ("interval_low", "interval_high")

SHARES = ("point", "lower", "upper", "known_share", *LOSS_STAGES, *_STRICT, *_INTERVAL)
"""Columns of doubles, in the order of BlockColumns.shares."""

COUNTS = ("links_required", "links_known", "links_absent")
"""Columns of counts, in the order of BlockColumns.counts."""

_COLUMNS = ("kind", "id", "window_days", *SHARES[: -len(_INTERVAL)], *COUNTS)
"""Columns that have a number in every row; intervals and levels are left out in blocks from before there were any."""

IndicatorKey = tuple[int, str, int]
"""What an indicator is of: the number of a kind, an id, days of a window."""


class BlockReader:
    """One value of the bucket, of at least one indicator. A million links are a gigabyte so, and four as objects."""

    def __init__(self, message: block_pb2.IndicatorBlock) -> None:
        self._message = message
        self.as_of: int = message.as_of.seconds
        self.register_version: str = message.register_version
        self.method_version: str = message.method_version
        self.evidence_sequence: int = message.evidence_sequence

    @classmethod
    def of(cls, payload: bytes) -> BlockReader:
        """Take in a value. Raises ValueError when it is not a consistent IndicatorBlock, or has no indicator."""
        try:
            message = block_pb2.IndicatorBlock.FromString(payload)
        except DecodeError as error:
            raise ValueError("not an IndicatorBlock") from error
        rows = len(message.kind)
        if not rows:
            raise ValueError("it holds no indicator")
        # Of the time before there were intervals or levels these are empty.
        if any(len(getattr(message, name)) != rows for name in _COLUMNS) or any(
            len(column) not in (0, rows) for column in (message.interval_low, message.interval_high, message.level)
        ):
            raise ValueError("columns of different lengths")
        return cls(message)

    def __len__(self) -> int:
        return len(self._message.kind)

    def places(self) -> Iterator[IndicatorKey]:
        """What each row is of."""
        message = self._message
        return zip(message.kind, message.id, message.window_days, strict=True)

    def __contains__(self, place: IndicatorKey) -> bool:
        return place in self._rows

    @cached_property
    def _rows(self) -> dict[IndicatorKey, int]:
        return {place: row for row, place in enumerate(self.places())}

    @cached_property
    def _read(self) -> Callable[[int], Indicator]:
        return _reader(self._message)

    def forget(self) -> None:
        """Let go of what makes finding and reading rows cheap; it is made again when needed."""
        self.__dict__.pop("_rows", None)
        self.__dict__.pop("_read", None)

    def find(self, place: IndicatorKey) -> Indicator | None:
        """Return one indicator, None where there is none."""
        row = self._rows.get(place)
        return None if row is None else self._read(row)

    def indicators(self) -> Iterator[Indicator]:
        """Every row."""
        return map(self._read, range(len(self)))

    @property
    def windows(self) -> tuple[int, ...]:
        """Days of the windows whose links' evidence is here."""
        return tuple(one.window_days for one in self._message.links)

    def evidence(self, window_days: int) -> EvidenceColumns | None:
        """Return what is known of one window's links, None where the block has none."""
        for one in self._message.links:
            if one.window_days == window_days:
                return evidence_from_message(one)
        return None

    def column(self, name: str, kind: IndicatorKind, window_days: int) -> tuple[list[str], list[float]]:
        """Return ids and values of one column, point or level, for one kind and window; rows without a value left out."""
        message = self._message
        values = np.array(getattr(message, name), dtype=np.float64)
        if not len(values):
            return [], []
        rows = np.array(message.kind) == kind
        rows &= np.array(message.window_days) == window_days
        rows &= ~np.isnan(values) if name == "point" else values >= 0
        at = np.flatnonzero(rows)
        ids = message.id
        return [ids[row] for row in at.tolist()], values[at].tolist()

    @property
    def exchanges(self) -> tuple[ExchangeVolume, ...]:
        """What the bus carried for this consumer."""
        return tuple(map(volume_from_message, self._message.exchanges))

    @property
    def structures(self) -> tuple[Structure, ...]:
        """In the government's block, the structure over each window."""
        return tuple(structure_from_message(one, self._message) for one in self._message.structures)

    @property
    def reconciliations(self) -> tuple[Reconciliation, ...]:
        """Exchanges beside probes, of links."""
        return tuple(map(reconciliation_from_message, self._message.reconciliations))

    @property
    def traffic(self) -> tuple[Traffic, ...]:
        """In the government's block, what the buses carried over each window."""
        return tuple(map(traffic_from_message, self._message.traffic))


def _reader(message: block_pb2.IndicatorBlock) -> Callable[[int], Indicator]:
    """What gives the indicator in one row of a block whose columns are of one length; making it costs, using it little."""
    kind, ids, window = message.kind, message.id, message.window_days
    point, lower, upper, known_share = message.point, message.lower, message.upper, message.known_share
    losses = [getattr(message, stage) for stage in LOSS_STAGES]
    strict_point, strict_lower, strict_upper = message.strict_point, message.strict_lower, message.strict_upper
    low, high, level = message.interval_low, message.interval_high, message.level
    required, known, absent = message.links_required, message.links_known, message.links_absent
    with_intervals, with_levels, certainty = len(low) > 0, len(level) > 0, message.interval_level
    as_of, sequence = message.as_of.seconds, message.evidence_sequence
    versions = message.register_version, message.probe_version, message.method_version

    def row_of(row: int) -> Indicator:
        strict = StrictShare(_or_none(strict_point[row]), strict_lower[row], strict_upper[row])
        interval = Interval(low[row], high[row], certainty) if with_intervals else None
        return Indicator(
            kind=IndicatorKind(kind[row]),
            id=ids[row],
            window_days=window[row],
            as_of=as_of,
            point=_or_none(point[row]),
            lower=lower[row],
            upper=upper[row],
            known_share=known_share[row],
            losses=Losses(*[loss[row] for loss in losses]),
            strict=None if isnan(strict.lower) else strict,
            interval=None if interval is None or isnan(interval.low) else interval,
            links_required=required[row],
            links_known=known[row],
            links_absent=absent[row],
            level=level[row] if with_levels and level[row] >= 0 else None,
            register_version=versions[0],
            probe_version=versions[1],
            method_version=versions[2],
            evidence_sequence=sequence,
        )

    return row_of


def _or_none(value: float) -> float | None:
    return None if isnan(value) else value
