"""Columns encoded from arrays equal those of the protobuf library."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from peyvand.v1 import block_pb2
from services.core.blocks.packed import doubles, message, varints

NUMBERS = st.one_of(st.integers(0, 200), st.integers(0, 2**64 - 1), st.sampled_from([2**7, 2**14 - 1, 2**35, 2**63]))
SIGNED = st.one_of(st.integers(-2, 2), st.integers(-(2**63), 2**63 - 1))


@given(st.lists(st.lists(NUMBERS, max_size=20), max_size=4))
def test_unsigned_numbers(columns: list[list[int]]) -> None:
    """Every column of several blocks equals what the library encodes for it alone."""
    arrays = [np.array(column, np.uint64) for column in columns]
    assert varints(3, arrays) == [block_pb2.LinkEvidence(slots=column).SerializeToString() for column in columns]


@given(st.lists(SIGNED, max_size=20))
def test_signed_numbers(column: list[int]) -> None:
    """Numbers of either sign are encoded as ZigZag."""
    (found,) = varints(4, [np.array(column, np.int64)], signed=True)
    assert found == block_pb2.RecentRows(time=column).SerializeToString()


@given(st.lists(st.floats(), max_size=20))
def test_doubles(column: list[float]) -> None:
    """Every double keeps its bits, NaN included."""
    found = doubles(9, np.array(column, np.float64))
    assert found == block_pb2.IndicatorBlock(point=column).SerializeToString()


@given(st.binary(max_size=300))
def test_messages_within_messages(payload: bytes) -> None:
    """Bytes and messages of any length are encoded, under a field number of one byte or two."""
    assert block_pb2.SlotBlock.FromString(message(7, payload)).verdict == payload
    assert message(7, payload) == block_pb2.SlotBlock(verdict=payload).SerializeToString() or not payload
    inner = block_pb2.LinkEvidence(window_days=300).SerializeToString()
    assert block_pb2.IndicatorBlock.FromString(message(24, inner)).links[0].window_days == 300
