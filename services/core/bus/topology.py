"""Streams and buckets as ``peyvand bus init`` creates them (docs/design.md §5)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import nats.errors
import nats.js.errors
from nats.js.api import DiscardPolicy, RePublish, RetentionPolicy, StorageType, StreamConfig, StreamInfo

from services.core.bus import names
from services.core.bus.buckets import Bus
from services.core.bus.messages import error_text
from services.core.errors import BusError
from services.core.model import EVIDENCE_SECONDS

_DAY = 86_400.0

DEFAULT_STORAGE = 20 << 30
"""The default limit in bytes for all streams together on a server: enough for 10,000 links in slots of five minutes
from two vantages (docs/operating.md, Disk).
"""

_SHARES = {
    names.MEASUREMENTS: 0.55,
    names.EXCHANGES: 0.15,
    names.INDICATORS: 0.14,
    names.FINDINGS: 0.01,
    names.kv_stream(names.INDICATOR_BUCKET): 0.10,
    names.kv_stream(names.REGISTER_BUCKET): 0.05,
}
"""Shares of the storage. If a stream is full, whatever a seed published, the others keep their shares."""


def _stream(name: str, pattern: str, replicas: int, **options: Any) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=[pattern],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        # A full stream refuses new messages, which publishers keep, and drops none that it has acknowledged.
        discard=DiscardPolicy.NEW,
        num_replicas=replicas,
        allow_direct=True,
        duplicate_window=120,
        **options,
    )


def _bucket(name: str, replicas: int) -> StreamConfig:
    """Return the stream of a KV bucket with one value per key, in the layout of all NATS clients."""
    keys = names.kv_subject(name, ">")
    return _stream(
        names.kv_stream(name),
        keys,
        replicas,
        max_msgs_per_subject=1,
        allow_rollup_hdrs=True,
        deny_delete=True,
        allow_msg_ttl=True,
        allow_atomic=True,
        republish=RePublish(keys, names.stored_subject(keys), headers_only=True),
    )


def stream_configs(replicas: int) -> tuple[StreamConfig, ...]:
    """Return the configuration of every stream, those of buckets included."""
    return (
        _stream(names.MEASUREMENTS, names.measurement_subject("*", "*"), replicas, max_age=EVIDENCE_SECONDS),
        _stream(names.EXCHANGES, names.exchange_subject("*", "*"), replicas, max_age=EVIDENCE_SECONDS),
        _stream(names.INDICATORS, names.indicator_subject("*", "*", "*"), replicas, max_age=400 * _DAY),
        _stream(names.FINDINGS, names.finding_subject("*", "*"), replicas, max_age=400 * _DAY),
        _bucket(names.REGISTER_BUCKET, replicas),
        _bucket(names.INDICATOR_BUCKET, replicas),
    )


async def initialise_streams(bus: Bus, *, replicas: int | None = None, storage: int | None = None) -> Mapping[str, int]:
    """Create or update every stream and bucket; return the limit of each in bytes. Needs role admin.

    Repeating it changes nothing. ``storage`` is the limit of all of them together on a server, in bytes. Existing
    streams keep their number of replicas and their limit unless told otherwise. New ones get the largest number of
    replicas that exists, or 1, and their share of DEFAULT_STORAGE. Raises BusError when the bus refuses, for example
    because permission is missing.
    """
    step, limits = "reading the streams", {}
    try:
        existing = await _existing(bus)
        default = replicas or max((info.config.num_replicas or 1 for info in existing.values()), default=1)
        for config in stream_configs(default):
            name = str(config.name)
            info = existing.get(name)
            step = f"creating stream {name}"
            limits[name] = _limit(name, info, storage)
            copies = default if replicas or info is None else info.config.num_replicas or 1
            wanted = config.evolve(num_replicas=copies, max_bytes=limits[name])
            if info is None:
                await bus.jetstream.add_stream(wanted)
            else:
                await bus.jetstream.update_stream(wanted)
    except (nats.errors.Error, TimeoutError) as error:
        if isinstance(error, nats.js.errors.APIError) and error.err_code in _NO_ROOM:
            raise BusError(
                f"{step} failed: {error.description}; name less by --storage, or allow the servers more by max_file_store"
            ) from error
        raise BusError(f"{step} failed: {error_text(error)}; is this the admin credential?") from error
    return limits


async def remake_stream(bus: Bus, name: str) -> None:
    """Delete a stream that has no leader, and recreate it empty, with its limit and number of replicas.

    Needs role admin. Raises BusError when the stream is unknown, has a leader (its messages then exist), or is not
    deleted in time.
    """
    wanted = {str(config.name): config for config in stream_configs(1)}
    if name not in wanted:
        raise BusError(f"there is no stream {name}: there are {', '.join(wanted)}")
    try:
        info = await bus.jetstream.stream_info(name)
        if info.cluster is None or info.cluster.leader:
            raise BusError(f"stream {name} is served, and stays as it is: only one without a leader is made anew")
        with suppress(nats.errors.TimeoutError):  # no server of the stream answers, and all of them delete it
            await bus.jetstream.delete_stream(name)
        await _deleted(bus, name)
        kept = {"num_replicas": info.config.num_replicas, "max_bytes": info.config.max_bytes}
        await bus.jetstream.add_stream(wanted[name].evolve(**kept))
    except (nats.errors.Error, TimeoutError) as error:
        raise BusError(
            f"making stream {name} anew failed: {error_text(error)}; is this the admin credential?"
        ) from error


async def _deleted(bus: Bus, name: str) -> None:
    with suppress(nats.js.errors.NotFoundError):
        async with asyncio.timeout(_DELETE_SECONDS):
            while True:
                await bus.jetstream.stream_info(name)
                await asyncio.sleep(_LOOK_SECONDS)


_DELETE_SECONDS = 30.0
_LOOK_SECONDS = 0.2

_NO_ROOM = (10005, 10023, 10047)  # no suitable peers, insufficient resources, insufficient storage


def _limit(name: str, info: StreamInfo | None, storage: int | None) -> int:
    """Return the limit of a stream in bytes: its present one, or else its share, but at least twice what it holds.

    A given ``storage`` replaces the present limit by the share of it.
    """
    if storage is None and info is not None and (info.config.max_bytes or 0) > 0:
        return int(info.config.max_bytes or 0)
    share = int(_SHARES[name] * (storage or DEFAULT_STORAGE))
    return max(share, 2 * info.state.bytes if info is not None else 0)


async def _existing(bus: Bus) -> dict[str, StreamInfo]:
    """Return those of our streams that exist, by name."""
    found: dict[str, StreamInfo] = {}
    for name in names.STREAMS:
        with suppress(nats.js.errors.NotFoundError):
            found[name] = await bus.jetstream.stream_info(name)
    return found
