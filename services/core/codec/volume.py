"""What the bus carried between two agencies, as blocks of KV bucket `indicator` hold it."""

from __future__ import annotations

from dataclasses import dataclass

from peyvand.v1 import block_pb2
from services.core.codec.units import timestamp

__all__ = ["ExchangeVolume", "volume_from_message", "volume_to_message"]


@dataclass(frozen=True, slots=True)
class ExchangeVolume:
    """Exchanges between one consumer and one provider; ``last_slot`` in epoch seconds."""

    consumer: str
    provider: str
    meta: bool
    count: int
    ok: int
    bus_failures: int
    provider_failures: int
    last_slot: int


def volume_to_message(volume: ExchangeVolume) -> block_pb2.ExchangeVolume:
    """The message of what one pair of agencies exchanged."""
    return block_pb2.ExchangeVolume(
        consumer=volume.consumer,
        provider=volume.provider,
        meta=volume.meta,
        count=volume.count,
        ok=volume.ok,
        bus_failures=volume.bus_failures,
        provider_failures=volume.provider_failures,
        last_slot=timestamp(volume.last_slot),
    )


def volume_from_message(message: block_pb2.ExchangeVolume) -> ExchangeVolume:
    """What one pair of agencies exchanged."""
    return ExchangeVolume(
        message.consumer,
        message.provider,
        message.meta,
        message.count,
        message.ok,
        message.bus_failures,
        message.provider_failures,
        message.last_slot.seconds,
    )
