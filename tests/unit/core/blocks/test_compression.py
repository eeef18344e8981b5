"""Blocks whose content is compressed."""

from zlib import compress

import pytest

from peyvand.v1 import block_pb2
from services.core.blocks.compression import compress_block, parse_block
from services.core.blocks.packed import message
from services.core.blocks.target_blocks import stamp_slot_block

_FIELD = block_pb2.SlotBlock.DESCRIPTOR.fields_by_name["compressed"].number
_BLOCK = block_pb2.SlotBlock(slot_seconds=300, links=["a"], verdict=bytes(10_000))


def test_a_block_comes_back_with_its_stamp() -> None:
    """A repetitive block becomes shorter, and is read back unchanged with the evidence sequence stamped after it."""
    payload = compress_block(block_pb2.SlotBlock, _BLOCK.SerializeToString())
    assert len(payload) < 200
    back = parse_block(block_pb2.SlotBlock, stamp_slot_block(payload, 7))
    assert back == block_pb2.SlotBlock(slot_seconds=300, links=["a"], verdict=bytes(10_000), evidence_sequence=7)


def test_what_would_be_longer_stays_as_it_is() -> None:
    """A block that compression would lengthen stays as it is. Uncompressed blocks of an older scorer are read too."""
    payload = block_pb2.SlotBlock(slot_seconds=300).SerializeToString()
    assert compress_block(block_pb2.SlotBlock, payload) == payload
    assert parse_block(block_pb2.SlotBlock, _BLOCK.SerializeToString()) == _BLOCK


@pytest.mark.parametrize(
    "content",
    [
        b"not compressed",
        compress(_BLOCK.SerializeToString())[:-1],
        compress(_BLOCK.SerializeToString()) + b"x",
        compress(b"\xff\xff\xff"),
    ],
)
def test_damage_is_refused(content: bytes) -> None:
    """Content that zlib did not write, that is incomplete or too long, or that holds no block is refused."""
    with pytest.raises(ValueError, match="not a valid SlotBlock"):
        parse_block(block_pb2.SlotBlock, message(_FIELD, content))


def test_a_block_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes that unpack to more than the limit are refused."""
    monkeypatch.setattr("services.core.blocks.compression._LIMIT", 5_000)
    with pytest.raises(ValueError, match="not a valid SlotBlock"):
        parse_block(block_pb2.SlotBlock, compress_block(block_pb2.SlotBlock, _BLOCK.SerializeToString()))
