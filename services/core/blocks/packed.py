"""Encodes whole arrays as protobuf columns, a hundred times faster than number by number.

The encoding is specified in protobuf.dev/programming-guides/encoding. A field begins with a tag; for packed numbers and
messages, a length follows. Fields may stand in any order, so columns can be appended to a message that the library has
serialised, with its strings. The columns of several blocks are encoded together, because numpy's cost per array exceeds
its cost per number.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

_LENGTH_DELIMITED = 2
_BITS = 7  # of a number in each byte; the eighth marks that more bytes follow
_MORE = 0x80


@lru_cache(maxsize=4096)  # tags and lengths, which repeat themselves
def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= _MORE:
        encoded.append(number & (_MORE - 1) | _MORE)
        number >>= _BITS
    encoded.append(number)
    return bytes(encoded)


def message(field: int, payload: bytes) -> bytes:
    """Encode a submessage, bytes or a packed column as a field."""
    return _varint(field << 3 | _LENGTH_DELIMITED) + _varint(len(payload)) + payload


def doubles(field: int, column: NDArray[np.float64]) -> bytes:
    """Encode a packed repeated double; an empty one as nothing, as the library does."""
    return message(field, column.astype("<f8", copy=False).tobytes()) if len(column) else b""


def varints(field: int, columns: Sequence[NDArray[np.integer]], *, signed: bool = False) -> list[bytes]:
    """Encode a packed column of each of several blocks.

    Numbers are uint32, uint64 or non-negative int64, or with ``signed`` sint32 or sint64.
    """
    numbers = np.concatenate(columns) if columns else np.zeros(0, np.uint64)
    numbers = _zigzag(numbers) if signed else numbers.astype(np.uint64, copy=False)
    longest = len(_varint(int(numbers.max()))) if len(numbers) else 1
    ends = list(accumulate(map(len, columns), initial=0))
    if longest == 1:
        payload = numbers.astype(np.uint8).tobytes()
    else:
        places = np.arange(longest, dtype=np.uint64)
        groups = (numbers[:, np.newaxis] >> (places * np.uint64(_BITS))).astype(np.uint8)
        length = 1 + (numbers[:, np.newaxis] >= np.uint64(1) << (places[1:] * np.uint64(_BITS))).sum(axis=1)
        groups |= _MORE
        groups[np.arange(len(numbers)), length - 1] &= _MORE - 1
        payload = groups[places < length[:, np.newaxis]].tobytes()
        offsets = np.concatenate([[0], np.cumsum(length)])
        ends = offsets[ends].tolist()
    return [message(field, payload[start:end]) if start < end else b"" for start, end in pairwise(ends)]


def _zigzag(column: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Return numbers in the ZigZag encoding of sint32 and sint64, in which small ones of either sign stay small."""
    wide = column.astype(np.int64)
    return ((wide << 1) ^ (wide >> 63)).view(np.uint64)
