"""The message bus: one NATS server or cluster with JetStream (docs/design.md §5)."""

import services.core.bus.nats_alone  # noqa: F401  # before any import that loads nats-py
from services.core.bus.buckets import MAX_ATOMIC_PUTS, Bus
from services.core.bus.claim import Claim
from services.core.bus.client import BoundedTaskGroup, Call
from services.core.bus.connection import connect, connect_from_settings
from services.core.bus.durability import DURABILITY_FAULTS, BusReport, bus_report
from services.core.bus.evidence import columns_of, finding_of, indicator_of, summaries_of
from services.core.bus.messages import StoredMessage, StreamState
from services.core.bus.names import (
    AGENCY_GROUPS,
    DETAIL_SECONDS,
    EXCHANGES,
    FINDINGS,
    GOVERNMENT_KEY,
    INDICATOR_BUCKET,
    INDICATORS,
    LEASE_KEY,
    MEASUREMENTS,
    REGISTER_BUCKET,
    SLOTS_PER_BLOCK,
    STREAMS,
    consumers_key,
    exchange_subject,
    finding_subject,
    group_of,
    group_of_slot_key,
    heartbeat_subject,
    indicator_subject,
    measurement_subject,
    recent_key,
    shard_of,
    slot_key,
)
from services.core.bus.roles import write_users
from services.core.bus.server import (
    adopt_streams,
    find_server,
    read_users,
    replace_seed,
    retire_seeds,
    server_configuration,
    write_configuration,
    write_seeds,
)
from services.core.bus.server_accounts import accounts, accounts_file
from services.core.bus.snapshots import check_empty, restore_stream, save_stream, streams_of_backup, streams_to_save
from services.core.bus.stream_cursor import StreamCursor
from services.core.bus.topology import DEFAULT_STORAGE, initialise_streams, remake_stream, stream_configs

__all__ = [
    "AGENCY_GROUPS",
    "DEFAULT_STORAGE",
    "DETAIL_SECONDS",
    "DURABILITY_FAULTS",
    "EXCHANGES",
    "FINDINGS",
    "GOVERNMENT_KEY",
    "INDICATORS",
    "INDICATOR_BUCKET",
    "LEASE_KEY",
    "MAX_ATOMIC_PUTS",
    "MEASUREMENTS",
    "REGISTER_BUCKET",
    "SLOTS_PER_BLOCK",
    "STREAMS",
    "BoundedTaskGroup",
    "Bus",
    "BusReport",
    "Call",
    "Claim",
    "StoredMessage",
    "StreamCursor",
    "StreamState",
    "accounts",
    "accounts_file",
    "adopt_streams",
    "bus_report",
    "check_empty",
    "columns_of",
    "connect",
    "connect_from_settings",
    "consumers_key",
    "exchange_subject",
    "find_server",
    "finding_of",
    "finding_subject",
    "group_of",
    "group_of_slot_key",
    "heartbeat_subject",
    "indicator_of",
    "indicator_subject",
    "initialise_streams",
    "measurement_subject",
    "read_users",
    "recent_key",
    "remake_stream",
    "replace_seed",
    "restore_stream",
    "retire_seeds",
    "save_stream",
    "server_configuration",
    "shard_of",
    "slot_key",
    "stream_configs",
    "streams_of_backup",
    "streams_to_save",
    "summaries_of",
    "write_configuration",
    "write_seeds",
    "write_users",
]
