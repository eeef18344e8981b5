"""Packed: closed days as the stage of every vantage, target and slot, under no register yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from zlib import compress, decompressobj

import numpy as np
from numpy.typing import NDArray

__all__ = ["DayState"]

# Level 6 takes 40 % less room at twice the time; a day is packed once.
_LEVEL = 6

# A piece is taken apart at a time, so that a day of a million targets needs neither its room nor its time at once.
_PIECE_CELLS = 1 << 20
_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class DayState:
    """One closed day as it is kept and saved: what was measured, whatever a register says of it.

    ``shape`` (vantages, targets, slots), rows and columns as in the id lists of ``Changes``, which may have grown since.
    ``stages`` int8, -1 = unknown, compressed: pieces of consecutive targets one after another, each a zlib stream of all
    vantages of them. A target's slots lie side by side, for they resemble each other most. They are bytes,
    or a view of a file that holds them.
    """

    day: date
    shape: tuple[int, int, int]
    stages: bytes | memoryview

    @classmethod
    def pack(cls, day: date, stages: NDArray[np.int8]) -> DayState:
        """Pack a day's stages (vantages, targets, slots)."""
        vantages, targets, slots = stages.shape
        step = max(1, _PIECE_CELLS // max(1, vantages * slots))
        pieces = (stages[:, first : first + step] for first in range(0, targets, step))
        packed = b"".join(compress(np.ascontiguousarray(piece).tobytes(), _LEVEL) for piece in pieces)
        return cls(day, (vantages, targets, slots), packed)

    @classmethod
    def joined(cls, day: date, shape: tuple[int, int, int], parts: Sequence[DayState]) -> DayState:
        """Put together a day of this shape that was packed in parts, consecutive targets each."""
        return cls(day, shape, b"".join(part.stages for part in parts))

    def pieces(self) -> Iterator[tuple[int, NDArray[np.int8]]]:
        """Yield the stages (vantages, some targets, slots) in arrays of their own, each with its first target."""
        vantages, _, slots = self.shape
        first, at, packed = 0, 0, memoryview(self.stages)
        while at < len(packed):
            stream, found = decompressobj(), bytearray()
            while not stream.eof:
                read = packed[at : at + _READ]
                if not read:
                    raise ValueError(f"the stages of {self.day} end too early")
                found += stream.decompress(read)
                at += len(read) - len(stream.unused_data)
            piece = np.frombuffer(found, dtype=np.int8).reshape(vantages, len(found) // max(1, vantages * slots), slots)
            yield first, piece
            first += piece.shape[1]
