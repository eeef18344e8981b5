"""The only place where values become peyvand.v1 messages and back."""

from services.core.blocks.encode import BlockColumns, block_digest, encode_block, encode_blocks, stamp_block
from services.core.blocks.link_evidence import LinkEvidence
from services.core.blocks.read import KeptBlock, Place
from services.core.blocks.recent_block import RecentBlock, decode_recent, encode_recent, stamp_recent
from services.core.blocks.slot_block import SlotBlock, decode_slot_block, encode_slot_block, stamp_slot_block
from services.core.codec.beside_index import reconciliation_to_message, traffic_to_message
from services.core.codec.exchange import decode_summaries, encode_summaries, summary_from_json, summary_to_json
from services.core.codec.indicator import indicator_from_message, indicator_to_json, indicator_to_message
from services.core.codec.measurement import (
    decode_columns,
    decode_measurements,
    encode_measurements,
    measurement_to_json,
)
from services.core.codec.measurement_json import measurement_from_json
from services.core.codec.register import (
    Chunk,
    Heartbeat,
    Manifest,
    decode_heartbeat,
    decode_manifest,
    encode_heartbeat,
    encode_manifest,
)
from services.core.codec.sensitivity import sensitivity_to_json
from services.core.codec.structure import set_index_to_message, structure_to_json, structure_to_message
from services.core.codec.volume import ExchangeVolume, volume_to_message

__all__ = [
    "BlockColumns",
    "Chunk",
    "ExchangeVolume",
    "Heartbeat",
    "KeptBlock",
    "LinkEvidence",
    "Manifest",
    "Place",
    "RecentBlock",
    "SlotBlock",
    "block_digest",
    "decode_columns",
    "decode_heartbeat",
    "decode_manifest",
    "decode_measurements",
    "decode_recent",
    "decode_slot_block",
    "decode_summaries",
    "encode_block",
    "encode_blocks",
    "encode_heartbeat",
    "encode_manifest",
    "encode_measurements",
    "encode_recent",
    "encode_slot_block",
    "encode_summaries",
    "indicator_from_message",
    "indicator_to_json",
    "indicator_to_message",
    "measurement_from_json",
    "measurement_to_json",
    "reconciliation_to_message",
    "sensitivity_to_json",
    "set_index_to_message",
    "stamp_block",
    "stamp_recent",
    "stamp_slot_block",
    "structure_to_json",
    "structure_to_message",
    "summary_from_json",
    "summary_to_json",
    "traffic_to_message",
    "volume_to_message",
]
