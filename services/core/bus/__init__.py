"""The message bus: one NATS server or cluster with JetStream (docs/design.md §5)."""

from services.core.bus.buckets import TOGETHER, Bus
from services.core.bus.concurrency import Inflight
from services.core.bus.connection import connect, connect_by
from services.core.bus.embedded import configuration, find_server, write_configuration
from services.core.bus.messages import Message, StreamState
from services.core.bus.names import (
    DETAIL_SECONDS,
    EXCHANGES,
    GOVERNMENT_KEY,
    INDICATOR,
    INDICATORS,
    MEASUREMENTS,
    REGISTER,
    SLOTS_PER_BLOCK,
    STREAMS,
    consumer_key,
    exchange_subject,
    heartbeat_subject,
    indicator_subject,
    measurement_subject,
    recent_key,
    shard_of,
    slot_key,
)
from services.core.bus.roles import write_users
from services.core.bus.snapshots import restore, save
from services.core.bus.topology import initialise, stream_configs
from services.core.bus.users import authorization, read_users, replace_seed, retire_seeds, seats, write_seeds

__all__ = [
    "DETAIL_SECONDS",
    "EXCHANGES",
    "GOVERNMENT_KEY",
    "INDICATOR",
    "INDICATORS",
    "MEASUREMENTS",
    "REGISTER",
    "SLOTS_PER_BLOCK",
    "STREAMS",
    "TOGETHER",
    "Bus",
    "Inflight",
    "Message",
    "StreamState",
    "authorization",
    "configuration",
    "connect",
    "connect_by",
    "consumer_key",
    "exchange_subject",
    "find_server",
    "heartbeat_subject",
    "indicator_subject",
    "initialise",
    "measurement_subject",
    "read_users",
    "recent_key",
    "replace_seed",
    "restore",
    "retire_seeds",
    "save",
    "seats",
    "shard_of",
    "slot_key",
    "stream_configs",
    "write_configuration",
    "write_seeds",
    "write_users",
]
