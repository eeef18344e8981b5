"""Encodes volumes, reconciliations with probes, and traffic of exchanges."""

from __future__ import annotations

from dataclasses import dataclass

from peyvand.v1 import block_pb2, reconciliation_pb2
from services.core.codec.units import copied_fields, to_timestamp
from services.core.model import Estimate, Reconciliation, Traffic, Undeclared, Volume


@dataclass(frozen=True, slots=True)
class ExchangeVolume:
    """Exchanges between one consumer and one provider, over all their links; times in epoch seconds.

    The counts cover slots that start in [``slots_from``, ``slots_to``); ``last_slot`` is the slot of the last exchange.
    """

    consumer: str
    provider: str
    meta: bool
    count: int
    ok: int
    bus_failures: int
    provider_failures: int
    last_slot: int
    slots_from: int = 0
    slots_to: int = 0


_volume_fields = copied_fields(ExchangeVolume, "last_slot", "slots_from", "slots_to")
_reconciliation_fields = copied_fields(Reconciliation, "logs", "probes", "difference", "volume", "as_of", "last_hour")
_trend_fields = copied_fields(Volume)
_traffic_fields = copied_fields(Traffic, "buses", "undeclared", "as_of")
_undeclared_fields = copied_fields(Undeclared)


def volume_to_message(volume: ExchangeVolume) -> block_pb2.ExchangeVolume:
    """Return the message of a volume."""
    return block_pb2.ExchangeVolume(
        last_slot=to_timestamp(volume.last_slot),
        slots_from=to_timestamp(volume.slots_from),
        slots_to=to_timestamp(volume.slots_to),
        **_volume_fields(volume),
    )


def reconciliation_to_message(row: Reconciliation) -> reconciliation_pb2.Reconciliation:
    """Return the message of a reconciliation."""
    return reconciliation_pb2.Reconciliation(
        logs=_estimate(row.logs),
        probes=_estimate(row.probes),
        difference=_estimate(row.difference),
        volume=None if row.volume is None else reconciliation_pb2.Volume(**_trend_fields(row.volume)),
        as_of=to_timestamp(row.as_of),
        last_hour=None if row.last_hour is None else to_timestamp(row.last_hour),
        **_reconciliation_fields(row),
    )


def _estimate(row: Estimate | None) -> reconciliation_pb2.Estimate | None:
    return None if row is None else reconciliation_pb2.Estimate(value=row.value, low=row.low, high=row.high)


def traffic_to_message(traffic: Traffic) -> reconciliation_pb2.Traffic:
    """Return the message of all exchanges of one window."""
    total = traffic.exchanges
    return reconciliation_pb2.Traffic(
        buses=[
            reconciliation_pb2.BusTraffic(bus=bus.bus, exchanges=bus.exchanges, share=bus.exchanges / total)
            for bus in traffic.buses
        ],
        undeclared=[reconciliation_pb2.UndeclaredExchange(**_undeclared_fields(pair)) for pair in traffic.undeclared],
        as_of=to_timestamp(traffic.as_of),
        **_traffic_fields(traffic),
    )
