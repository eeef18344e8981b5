"""Packs closed days: the stage of every vantage, target and slot, compressed, before any register is applied."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from zlib import Z_RLE, compressobj, decompressobj

import numpy as np

from services.core.model import Target
from services.indicator.array_types import Codes
from services.indicator.cells.packing import stages
from services.indicator.cells.slots import SlotCells

CLOSED_TARGETS: Final = 1 << 16
"""Targets of a day that are packed at a time; each slot is read once for every such group."""

# A day is unpacked in pieces, so that a million targets need neither all their memory nor all their time at once.
_PIECE_CELLS: Final = 1 << 20
_READ: Final = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredDay:
    """The stage that each target reached in each slot of a day: int8 (vantages, targets, slots), -1 = unknown.

    No register is applied yet.
    """

    day: date
    targets: tuple[Target, ...]
    vantages: tuple[str, ...]
    stages: Codes


@dataclass(frozen=True, slots=True)
class DayState:
    """One closed day as it is kept and saved: its measured stages, under no register.

    ``shape`` is (vantages, targets, slots), with rows and columns as in the id lists of ``EvidenceChanges``, which may
    have grown since. ``stages`` are int8, -1 = unknown, in bytes or in a view of a file. They are pieces of consecutive
    targets, each a zlib stream of all vantages. A target's slots lie side by side, because they are most alike.
    """

    day: date
    shape: tuple[int, int, int]
    stages: bytes | memoryview

    @classmethod
    def pack(cls, day: date, stages: Codes) -> DayState:
        """Pack a day's stages (vantages, targets, slots)."""
        vantages, targets, slots = stages.shape
        step = max(1, _PIECE_CELLS // max(1, vantages * slots))
        pieces = (stages[:, first : first + step] for first in range(0, targets, step))
        packed = b"".join(map(_compressed, pieces))
        return cls(day, (vantages, targets, slots), packed)

    def pieces(self) -> Iterator[tuple[int, Codes]]:
        """Yield the first target and the stages (vantages, some targets, slots) of each piece, in arrays of their own.

        Raises ValueError when the stages end too early.
        """
        vantages, _, slots = self.shape
        first, position, packed = 0, 0, memoryview(self.stages)
        while position < len(packed):
            stream, unpacked = decompressobj(), bytearray()
            while not stream.eof:
                block = packed[position : position + _READ]
                if not block:
                    raise ValueError(f"the stages of {self.day} end too early")
                unpacked += stream.decompress(block)
                position += len(block) - len(stream.unused_data)
            piece = np.frombuffer(unpacked, dtype=np.int8)
            piece = piece.reshape(vantages, len(unpacked) // max(1, vantages * slots), slots)
            yield first, piece
            first += piece.shape[1]


def pack_day(day: date, slots: range, cells: SlotCells) -> Generator[date, None, DayState]:
    """Pack the day's slots, CLOSED_TARGETS targets at a time; yield the day after every piece of work."""
    vantages, targets = len(cells.vantages), len(cells.targets)
    packed = []
    for first in range(0, targets, CLOSED_TARGETS):
        part = slice(first, min(first + CLOSED_TARGETS, targets))
        reached = np.full((vantages, part.stop - first, len(slots)), -1, dtype=np.int8)
        for position, slot in enumerate(slots):
            if slot in cells:
                reached[:, :, position] = stages(cells.read(slot)[:vantages, part])
                yield day
        packed.append(DayState.pack(day, reached).stages)
        yield day
    return DayState(day, (vantages, targets, len(slots)), b"".join(packed))


def _compressed(stages: Codes) -> bytes:
    """Compress runs: the result is smaller than that of zlib's level 6, in a fifth to half of its time."""
    packer = compressobj(strategy=Z_RLE)
    return packer.compress(stages.tobytes()) + packer.flush()


def join_parts(parts: Sequence[MeasuredDay], cells: SlotCells) -> Codes:
    """Return the stages (vantages, targets, slots) of one day by the rows and columns of ``cells``.

    Targets without a column are left out.
    """
    rows = [np.array([cells.row_of(vantage) for vantage in part.vantages], dtype=np.int64) for part in parts]
    whole = np.full((len(cells.vantages), len(cells.targets), parts[0].stages.shape[2]), -1, dtype=np.int8)
    for part, row in zip(parts, rows, strict=True):
        column = cells.columns.find(part.targets)
        known = column >= 0
        whole[np.ix_(row, column[known])] = part.stages[:, known]
    return whole
