"""Encodes volumes, reconciliations with probes, and traffic of exchanges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from peyvand.v1 import reconciliation_pb2
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
_estimate_fields = copied_fields(Estimate)


def volume_fields(volume: ExchangeVolume) -> dict[str, Any]:
    """Return the fields of the message of a volume, for a message that has it (ADR 123)."""
    return {
        "last_slot": {"seconds": volume.last_slot},
        "slots_from": {"seconds": volume.slots_from},
        "slots_to": {"seconds": volume.slots_to},
        **_volume_fields(volume),
    }


def reconciliation_fields(row: Reconciliation) -> dict[str, Any]:
    """Return the fields of the message of a reconciliation, for a message that has it (ADR 123)."""
    return {
        "logs": row.logs and _estimate_fields(row.logs),
        "probes": row.probes and _estimate_fields(row.probes),
        "difference": row.difference and _estimate_fields(row.difference),
        "volume": row.volume and _trend_fields(row.volume),
        "as_of": {"seconds": row.as_of},
        "last_hour": None if row.last_hour is None else {"seconds": row.last_hour},
        **_reconciliation_fields(row),
    }


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
