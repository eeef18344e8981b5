"""Streams and buckets as ``peyvand bus init`` creates them (docs/design.md §5)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import nats.errors
import nats.js.errors
from nats.js.api import DiscardPolicy, RePublish, RetentionPolicy, StorageType, StreamConfig

from services.core.bus import names
from services.core.bus.buckets import Bus
from services.core.errors import BusError

_DAY = 86_400.0


def _stream(name: str, pattern: str, replicas: int, **options: Any) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=[pattern],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
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
        discard=DiscardPolicy.NEW,
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
        _stream(names.MEASUREMENTS, names.measurement_subject("*", "*"), replicas, max_age=7 * _DAY),
        _stream(names.EXCHANGES, names.exchange_subject("*", "*"), replicas, max_age=7 * _DAY),
        _stream(names.INDICATORS, names.indicator_subject("*", "*", "*"), replicas, max_age=400 * _DAY),
        _bucket(names.REGISTER_BUCKET, replicas),
        _bucket(names.INDICATOR_BUCKET, replicas),
    )


async def initialise_streams(bus: Bus, *, replicas: int | None = None) -> None:
    """Create or update every stream and bucket; repeating it changes nothing. Needs role admin.

    Without ``replicas``, existing streams keep their number of replicas, and new ones get the largest of those, or 1.
    Raises BusError when the bus refuses, for example because permission is missing.
    """
    step = "reading the replicas of streams"
    try:
        existing = {} if replicas else await _replicas(bus)
        default = replicas or max(existing.values(), default=1)
        for config in stream_configs(default):
            step = f"creating stream {config.name}"
            wanted = config.evolve(num_replicas=existing.get(str(config.name), default))
            try:
                await bus.jetstream.update_stream(wanted)
            except nats.js.errors.NotFoundError:
                await bus.jetstream.add_stream(wanted)
    except (nats.errors.Error, TimeoutError) as error:
        raise BusError(f"{step} failed: {error}; is this the admin credential?") from error


async def _replicas(bus: Bus) -> dict[str, int]:
    """Return the number of replicas of each of our streams that exists."""
    replicas: dict[str, int] = {}
    for config in stream_configs(1):
        name = str(config.name)
        with suppress(nats.js.errors.NotFoundError):
            replicas[name] = (await bus.jetstream.stream_info(name)).config.num_replicas or 1
    return replicas
