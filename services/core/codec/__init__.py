"""Converts values to peyvand.v1 messages and back; only this package and blocks do so."""

from services.core.codec.batches import RUN_BYTES, BatchSender, ChainPlace, decode_sender
from services.core.codec.exchange import decode_summaries, encode_summaries, summary_from_json, summary_to_json
from services.core.codec.finding import decode_finding, finding_from_message, finding_to_message
from services.core.codec.heartbeat import Heartbeat, decode_heartbeat, encode_heartbeat
from services.core.codec.indicator import (
    decode_indicator,
    encode_indicators,
    indicator_from_message,
    indicator_to_json,
    indicator_to_message,
    losses_from_message,
    losses_to_message,
    rank_band_fields,
    sensitivity_to_json,
    set_index_to_message,
    structure_from_message,
    structure_to_json,
    structure_to_message,
)
from services.core.codec.measurement import (
    decode_columns,
    decode_measurements,
    encode_measurements,
    measurement_to_json,
)
from services.core.codec.measurement_json import measurement_from_json
from services.core.codec.monitoring import monitoring_from_message, monitoring_to_message
from services.core.codec.notices import ANNOUNCEMENT_KINDS, OBJECTION_STATES
from services.core.codec.reconciliation import (
    ExchangeVolume,
    reconciliation_fields,
    traffic_to_message,
    volume_fields,
)
from services.core.codec.register_manifest import (
    RegisterChunk,
    RegisterManifest,
    RegisterPublication,
    decode_manifest,
    encode_manifest,
)
from services.core.codec.units import copied_fields, from_micros, from_timestamp, to_duration, to_micros, to_timestamp

__all__ = [
    "ANNOUNCEMENT_KINDS",
    "OBJECTION_STATES",
    "RUN_BYTES",
    "BatchSender",
    "ChainPlace",
    "ExchangeVolume",
    "Heartbeat",
    "RegisterChunk",
    "RegisterManifest",
    "RegisterPublication",
    "copied_fields",
    "decode_columns",
    "decode_finding",
    "decode_heartbeat",
    "decode_indicator",
    "decode_manifest",
    "decode_measurements",
    "decode_sender",
    "decode_summaries",
    "encode_heartbeat",
    "encode_indicators",
    "encode_manifest",
    "encode_measurements",
    "encode_summaries",
    "finding_from_message",
    "finding_to_message",
    "from_micros",
    "from_timestamp",
    "indicator_from_message",
    "indicator_to_json",
    "indicator_to_message",
    "losses_from_message",
    "losses_to_message",
    "measurement_from_json",
    "measurement_to_json",
    "monitoring_from_message",
    "monitoring_to_message",
    "rank_band_fields",
    "reconciliation_fields",
    "sensitivity_to_json",
    "set_index_to_message",
    "structure_from_message",
    "structure_to_json",
    "structure_to_message",
    "summary_from_json",
    "summary_to_json",
    "to_duration",
    "to_micros",
    "to_timestamp",
    "traffic_to_message",
    "volume_fields",
]
