"""Packs slots as bits, 64 to a word."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from services.indicator.array_types import Codes, Numbers

Bits = NDArray[np.uint64]
"""Rows of bits (n, w), a bit per slot; those beyond the last slot are 0."""

_WORD: Final = 64


def pack_bits(flags: Numbers) -> Bits:
    """Pack flags (n, slots), 0 or not, into words (n, w)."""
    rows, slots = flags.shape
    room = words(slots) * _WORD
    if slots != room:
        padded = np.zeros((rows, room), dtype=flags.dtype)
        padded[:, :slots] = flags
        flags = padded
    # Rows are whole words, so that all of them are packed at once.
    return np.packbits(flags.reshape(-1)).view(np.uint64).reshape(rows, room // _WORD)


def words(slots: int) -> int:
    """Return the number of words that hold this many slots."""
    return -(-slots // _WORD)


def unpack_bits(bits: Bits, slots: int) -> NDArray[np.uint8]:
    """Return the flags (n, slots) as 0 and 1."""
    return np.unpackbits(bits.view(np.uint8), axis=1)[:, :slots]


def count_bits(bits: Bits, kind: DTypeLike) -> Numbers:
    """Count the bits of each row, (n,)."""
    counts = np.zeros(len(bits), dtype=kind)
    for column in np.bitwise_count(bits).T:
        counts += column
    return counts


def stage_bits(verdicts: Codes) -> tuple[Bits, ...]:
    """Return the slots in which each stage from 0 to 5 was reached; ``verdicts`` (n, slots) are -1 where unknown."""
    rows, slots = verdicts.shape
    code = np.zeros((rows, words(slots) * _WORD), dtype=np.uint8)
    np.add(verdicts, 1, out=code[:, :slots], casting="unsafe")
    one, two, four = (pack_bits(code & np.uint8(bit)) for bit in (1, 2, 4))
    low = ~four
    return one & ~two & low, two & ~one & low, one & two, four & ~one & ~two, four & one, four & two
