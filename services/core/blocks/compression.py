"""Compresses blocks into their own field `compressed`: most links are as usual, so columns repeat themselves."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Final, TypeVar

from google.protobuf.message import DecodeError

from peyvand.v1 import block_pb2
from services.core.blocks.packed import message

_LEVEL: Final = 1
"""The level of zlib. Most blocks shrink to an eighth or less, and decompressing takes about as long as parsing. Higher
levels take three times as long.
"""

_LIMIT: Final = 1 << 30
"""The longest block that is decompressed, in bytes: half of what protobuf parses."""

Block = TypeVar("Block", block_pb2.IndicatorBlock, block_pb2.SlotBlock, block_pb2.RecentBlock)


def compress_block(kind: type[Block], payload: bytes) -> bytes:
    """Return an encoded block of this kind, without its evidence sequence, in fewer bytes where that is possible."""
    field = kind.DESCRIPTOR.fields_by_name["compressed"].number
    return min(message(field, zlib.compress(payload, _LEVEL)), payload, key=len)


@lru_cache(maxsize=8)
def evidence_stamp(kind: type[Block], evidence_sequence: int) -> bytes:
    """Return an encoded block of this kind that has its evidence sequence alone, which all blocks of an index share."""
    return kind(evidence_sequence=evidence_sequence).SerializeToString()


def parse_block(kind: type[Block], payload: bytes) -> Block:
    """Return a block of the bus, decompressed. Raises ValueError when it is not a block of this kind."""
    try:
        block = kind.FromString(payload)
        if block.compressed:
            content = _decompress(block.compressed)
            block.ClearField("compressed")
            block.MergeFromString(content)
    except (DecodeError, zlib.error) as error:
        raise ValueError(f"not a valid {kind.__name__}") from error
    return block


def _decompress(packed: bytes) -> bytes:
    stream = zlib.decompressobj()
    content = stream.decompress(packed, _LIMIT)
    if not stream.eof or stream.unused_data:
        raise zlib.error("it is not one whole stream within the limit")
    return content
