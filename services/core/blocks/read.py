"""Reads rows of IndicatorBlocks on demand, as messages, from blocks as received from the bus."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from math import isnan

import numpy as np
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from peyvand.v1 import block_pb2, finding_pb2, indicator_pb2, monitoring_pb2, reconciliation_pb2
from services.core.blocks.compression import parse_block
from services.core.blocks.encode import COUNTS, SHARES, EvidenceColumns
from services.core.model import LOSS_STAGES, STAGES, IndicatorKind

_LATER = ("interval_outages",)
"""Columns that older blocks do not have."""

_COLUMNS = ("kind", "id", "window_days", *SHARES, *(name for name in COUNTS if name not in _LATER), "level")

IndicatorKey = tuple[int, str, int]
"""Identifies an indicator: the number of its kind, its id, days of its window."""


def blocks_of_group(value: bytes) -> Mapping[str, bytes]:
    """Return the blocks of a group, by agency; none if the value is a block itself. Raises ValueError when it is neither."""
    try:
        message = block_pb2.IndicatorBlock.FromString(value)
    except DecodeError as error:
        raise ValueError("it is not a valid IndicatorBlock") from error
    if not (message.agencies or message.kind or message.compressed):
        raise ValueError("it holds no block")
    return dict(message.agencies)


class BlockReader:
    """One block, with at least one indicator, kept compressed as it came.

    All values of a million links take 1 GB when parsed. A block therefore stays parsed only until ``forget``; the next
    ``find`` or ``keep`` parses it again. ``payload`` is the block as it came. Messages that are part of the block must
    not be changed.
    """

    def __init__(self, payload: bytes, message: block_pb2.IndicatorBlock) -> None:
        self.payload = payload
        self._kept = message
        self._rows = len(message.kind)
        self.as_of: int = message.as_of.seconds
        self.register_version: str = message.register_version
        self.method_version: str = message.method_version
        self.evidence_sequence: int = message.evidence_sequence

    @classmethod
    def of(cls, payload: bytes) -> BlockReader:
        """Parse a block. Raises ValueError when it is not a consistent IndicatorBlock, or has no indicator."""
        message = parse_block(block_pb2.IndicatorBlock, payload)
        rows = len(message.kind)
        if not rows:
            raise ValueError("it holds no indicator")
        lengths = [len(getattr(message, name)) for name in _COLUMNS]
        lengths += [len(column) for name in _LATER if (column := getattr(message, name))]
        if any(length != rows for length in lengths):
            raise ValueError("columns of different lengths")
        return cls(payload, message)

    @cached_property
    def _kept(self) -> block_pb2.IndicatorBlock:
        return parse_block(block_pb2.IndicatorBlock, self.payload)

    @property
    def _message(self) -> block_pb2.IndicatorBlock:
        """The message, parsed again unless it is kept."""
        kept: block_pb2.IndicatorBlock | None = self.__dict__.get("_kept")
        return parse_block(block_pb2.IndicatorBlock, self.payload) if kept is None else kept

    def __len__(self) -> int:
        return self._rows

    def keys(self) -> Iterator[IndicatorKey]:
        """Yield the key of each row."""
        message = self._message
        return zip(message.kind, message.id, message.window_days, strict=True)

    def __contains__(self, key: IndicatorKey) -> bool:
        return key in self._row_of

    @cached_property
    def _row_of(self) -> dict[IndicatorKey, int]:
        return {key: row for row, key in enumerate(self.keys())}

    @cached_property
    def _read(self) -> Callable[[int], indicator_pb2.Indicator]:
        return _row_reader(self._kept)

    def keep(self) -> None:
        """Parse the message unless it is kept, and keep it until ``forget``."""
        _ = self._kept

    def forget(self) -> None:
        """Drop the parsed message and the caches for finding and reading rows, which are recreated when needed."""
        for name in ("_kept", "_row_of", "_read"):
            self.__dict__.pop(name, None)

    def find(self, key: IndicatorKey) -> indicator_pb2.Indicator | None:
        """Return one indicator, or None."""
        read = self._read  # keeps the message, whose rows are looked up next
        row = self._row_of.get(key)
        return None if row is None else read(row)

    def evidence(self, window_days: int) -> EvidenceColumns | None:
        """Return the evidence of one window's links, or None."""
        for evidence in self._message.links:
            if evidence.window_days == window_days:
                return EvidenceColumns(
                    window_days,
                    tuple(evidence.id),
                    np.array(evidence.slots, np.int64),
                    np.array([getattr(evidence, stage) for stage in STAGES], np.int64).T,
                    np.array(evidence.omega, np.float64),
                    np.array(evidence.share, np.float64),
                )
        return None

    def column(self, name: str, kind: IndicatorKind, window_days: int) -> tuple[list[str], list[float]]:
        """Return ids and values of a column, point, lower or level, for one kind and window; omit rows without a value."""
        message = self._message
        values = np.array(getattr(message, name), dtype=np.float64)
        chosen = np.array(message.kind) == kind
        chosen &= np.array(message.window_days) == window_days
        chosen &= ~np.isnan(values) if name == "point" else values >= 0
        rows, ids = np.flatnonzero(chosen), message.id
        return [ids[row] for row in rows.tolist()], values[rows].tolist()

    @property
    def exchanges(self) -> Sequence[block_pb2.ExchangeVolume]:
        """Exchanges of this consumer, by provider."""
        return self._message.exchanges

    @property
    def reconciliations(self) -> Sequence[reconciliation_pb2.Reconciliation]:
        """Comparisons of exchanges with probes, in the order of their windows and links."""
        return self._message.reconciliations

    def reconciliation(self, link: str, window_days: int) -> reconciliation_pb2.Reconciliation | None:
        """Return the comparison of a link over a window, None where nothing was exchanged and the link is not silent."""
        found, wanted = self.reconciliations, (window_days, link)
        place = bisect_left(found, wanted, key=_window_and_link)
        return found[place] if place < len(found) and _window_and_link(found[place]) == wanted else None

    @property
    def traffic(self) -> Sequence[reconciliation_pb2.Traffic]:
        """In the government's block, all exchanges of each window."""
        return self._message.traffic

    @property
    def monitoring(self) -> monitoring_pb2.Monitoring | None:
        """In the government's block, the health of Peyvand itself; None if the scorer did not report that."""
        return self._message.monitoring if self._message.HasField("monitoring") else None

    @property
    def findings(self) -> Sequence[finding_pb2.Finding]:
        """In the government's block, findings about exchanges, the newest first."""
        return self._message.findings

    @cached_property
    def certificates(self) -> Mapping[str, Timestamp]:
        """The expiry of each link's certificate that expires soon."""
        # Copies, since a part of a message keeps the whole of it in memory.
        return {one.link: Timestamp(seconds=one.expiry.seconds) for one in self._message.certificates}

    @property
    def structures(self) -> Iterator[indicator_pb2.Structure]:
        """In the government's block, the structure over each window, with the provenance of the block."""
        block = self._message
        provenance = indicator_pb2.Structure(
            as_of=block.as_of,
            register_version=block.register_version,
            method_version=block.method_version,
            evidence_sequence=block.evidence_sequence,
        )
        for message in block.structures:
            structure = indicator_pb2.Structure()
            structure.CopyFrom(message)
            structure.MergeFrom(provenance)
            yield structure


def _window_and_link(one: reconciliation_pb2.Reconciliation) -> tuple[int, str]:
    return one.window_days, one.link


def _row_reader(block: block_pb2.IndicatorBlock) -> Callable[[int], indicator_pb2.Indicator]:
    """Return a function that reads a row. Looking up the columns costs as much as reading some rows, so do it once."""
    kind, ids, window = block.kind, block.id, block.window_days
    shares = [getattr(block, name) for name in SHARES if name not in LOSS_STAGES]
    losses = [(name, getattr(block, name)) for name in LOSS_STAGES]
    required, known, absent, level = block.links_required, block.links_known, block.links_absent, block.level
    versions = block.register_version, block.probe_version, block.method_version
    ranks = {(rank.kind, rank.id, rank.window_days): rank.band for rank in block.ranks}
    outages = block.interval_outages or [None] * len(ids)
    as_of, sequence, confidence = block.as_of, block.evidence_sequence, block.interval_level

    def read(row: int) -> indicator_pb2.Indicator:
        point, lower, upper, known_share, strict_point, strict_lower, strict_upper, low, high = [
            column[row] for column in shares
        ]
        strict = indicator_pb2.Strict(point=_or_none(strict_point), lower=strict_lower, upper=strict_upper)
        return indicator_pb2.Indicator(
            kind=kind[row],
            id=ids[row],
            window_days=window[row],
            as_of=as_of,
            point=_or_none(point),
            lower=lower,
            upper=upper,
            known_share=known_share,
            losses=indicator_pb2.Losses(**{name: column[row] for name, column in losses}),
            strict=None if isnan(strict_lower) else strict,
            interval=None
            if isnan(low)
            else indicator_pb2.Interval(low=low, high=high, level=confidence, outages=outages[row]),
            level=level[row] if level[row] >= 0 else None,
            rank_band=ranks.get((kind[row], ids[row], window[row])),
            links_required=required[row],
            links_known=known[row],
            links_absent=absent[row],
            register_version=versions[0],
            probe_version=versions[1],
            method_version=versions[2],
            evidence_sequence=sequence,
        )

    return read


def _or_none(value: float) -> float | None:
    return None if isnan(value) else value
