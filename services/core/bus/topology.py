"""Streams and buckets, and how ``peyvand bus init`` makes them (docs/design.md §5)."""

from __future__ import annotations

from contextlib import suppress

import nats.errors
import nats.js.errors
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from services.core.bus.buckets import Bus
from services.core.bus.names import (
    EXCHANGES,
    INDICATOR_BUCKET,
    INDICATORS,
    MEASUREMENTS,
    REGISTER_BUCKET,
    exchange_subject,
    indicator_subject,
    kv_stream,
    kv_subject,
    measurement_subject,
)
from services.core.errors import BusError

__all__ = ["initialise_streams", "stream_configs"]

_DAY = 86_400.0


def _stream(name: str, pattern: str, days: int, replicas: int) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=[pattern],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=days * _DAY,
        num_replicas=replicas,
        allow_direct=True,
        duplicate_window=120,
    )


def _bucket(name: str, replicas: int) -> StreamConfig:
    """A KV bucket with one value per key, laid out as every NATS client expects it."""
    return StreamConfig(
        name=kv_stream(name),
        subjects=[kv_subject(name, ">")],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_msgs_per_subject=1,
        num_replicas=replicas,
        allow_direct=True,
        allow_rollup_hdrs=True,
        deny_delete=True,
        allow_msg_ttl=True,
        allow_atomic=True,
        duplicate_window=120,
    )


def stream_configs(replicas: int) -> tuple[StreamConfig, ...]:
    """Every stream, KV buckets among them, as it should be."""
    return (
        _stream(MEASUREMENTS, measurement_subject("*", "*"), 7, replicas),
        _stream(EXCHANGES, exchange_subject("*", "*"), 7, replicas),
        _stream(INDICATORS, indicator_subject("*", "*", "*"), 400, replicas),
        _bucket(REGISTER_BUCKET, replicas),
        _bucket(INDICATOR_BUCKET, replicas),
    )


async def initialise_streams(bus: Bus, *, replicas: int | None = None) -> None:
    """Create or bring up to date every stream and bucket; doing it again changes nothing. Needs role admin.

    Without ``replicas`` what is there keeps as many copies as it has; what is new gets as many as the others, 1 where there
    are none. Raises BusError when the bus refuses, for instance for want of permission.
    """
    doing = "asking for copies of streams"
    try:
        there = {} if replicas else await _copies(bus)
        usual = replicas or max(there.values(), default=1)
        for config in stream_configs(usual):
            doing = f"creating stream {config.name}"
            wanted = config.evolve(num_replicas=there.get(str(config.name), usual))
            try:
                await bus.jetstream.update_stream(wanted)
            except nats.js.errors.NotFoundError:
                await bus.jetstream.add_stream(wanted)
    except (nats.errors.Error, TimeoutError) as error:
        raise BusError(f"{doing} failed: {error}; is this the admin credential?") from error


async def _copies(bus: Bus) -> dict[str, int]:
    """How many copies each of our streams and buckets has that is there."""
    found: dict[str, int] = {}
    for config in stream_configs(1):
        name = str(config.name)
        with suppress(nats.js.errors.NotFoundError):
            found[name] = (await bus.jetstream.stream_info(name)).config.num_replicas or 1
    return found
