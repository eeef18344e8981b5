"""Slots of one day as bits, 64 to a word: what holds of many targets in many slots, by few operations on few bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Words", "among", "count", "pack", "stage_words", "unpack", "width"]

Words = NDArray[np.uint64]
"""Rows of bits (n, w), a bit per slot; those beyond the last slot are 0."""

WORD = 64


def width(slots: int) -> int:
    """Return how many words hold so many slots."""
    return -(-slots // WORD)


def pack(flags: NDArray[Any]) -> Words:
    """Pack flags (n, slots), 0 or not, into words (n, w)."""
    rows, slots = flags.shape
    room = width(slots) * WORD
    if slots != room:
        padded = np.zeros((rows, room), dtype=flags.dtype)
        padded[:, :slots] = flags
        flags = padded
    # Rows of whole words, so that all of them pack as one.
    return np.packbits(flags.reshape(-1)).view(np.uint64).reshape(rows, room // WORD)


def unpack(words: Words, slots: int) -> NDArray[np.uint8]:
    """Return the flags (n, slots) as 0 and 1."""
    return np.unpackbits(words.view(np.uint8), axis=1)[:, :slots]


def count(words: Words, kind: DTypeLike) -> NDArray[Any]:
    """Count the bits of each row, (n,)."""
    found = np.zeros(len(words), dtype=kind)
    for column in np.bitwise_count(words).T:
        found += column
    return found


def among(slots: int) -> Words:
    """Return a row (1, w) in which every one of so many slots is set."""
    return pack(np.ones((1, slots), dtype=np.bool_))


def stage_words(verdicts: NDArray[np.int8]) -> tuple[Words, ...]:
    """Return in which slots each stage from 0 to 5 was reached, from ``verdicts`` (n, slots), -1 where unknown."""
    rows, slots = verdicts.shape
    code = np.zeros((rows, width(slots) * WORD), dtype=np.uint8)
    np.add(verdicts, 1, out=code[:, :slots], casting="unsafe")
    one, two, four = (pack(code & np.uint8(bit)) for bit in (1, 2, 4))
    low = ~four
    return one & ~two & low, two & ~one & low, one & two, four & ~one & ~two, four & one, four & two
