"""Encodes, reads and stamps the columnar messages of the KV bucket `indicator`."""

from services.core.blocks.encode import (
    AgencyRank,
    BlockColumns,
    EvidenceColumns,
    encode_blocks,
    encode_group,
    stamp_block,
)
from services.core.blocks.read import BlockReader, IndicatorKey, blocks_of_group
from services.core.blocks.target_blocks import (
    RecentBlock,
    SlotBlock,
    decode_recent,
    decode_slot_block,
    encode_recent_blocks,
    encode_slot_blocks,
    stamp_recent,
    stamp_slot_block,
)

__all__ = [
    "AgencyRank",
    "BlockColumns",
    "BlockReader",
    "EvidenceColumns",
    "IndicatorKey",
    "RecentBlock",
    "SlotBlock",
    "blocks_of_group",
    "decode_recent",
    "decode_slot_block",
    "encode_blocks",
    "encode_group",
    "encode_recent_blocks",
    "encode_slot_blocks",
    "stamp_block",
    "stamp_recent",
    "stamp_slot_block",
]
