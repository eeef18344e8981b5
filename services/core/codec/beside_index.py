"""Messages that blocks of the bucket `indicator` hold besides the index: structures, exchange volumes, reconciliations."""

from __future__ import annotations

import math
from dataclasses import dataclass

from peyvand.v1 import block_pb2, indicator_pb2, reconciliation_pb2
from services.core.codec.units import copied_fields, message_to_json, to_timestamp
from services.core.model import Estimate, ProviderRole, Reconciliation, SetIndex, Structure, Traffic, Undeclared, Volume


@dataclass(frozen=True, slots=True)
class ExchangeVolume:
    """Exchanges between one consumer and one provider, over all their links; times in epoch seconds.

    Counted are those in slots that start in [``slots_from``, ``slots_to``); ``last_slot`` is the slot of the last one.
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


_traffic_fields = copied_fields(Traffic, "buses", "undeclared", "as_of")
_undeclared_fields = copied_fields(Undeclared)
_structure_fields = copied_fields(
    Structure,
    "as_of",
    "islands",
    "reciprocity",
    "within_sectors",
    "across_sectors",
    "silo_gap",
    "providers",
    "resilience",
)
_provider_fields, _set_index_fields = copied_fields(ProviderRole), copied_fields(SetIndex)


def volume_to_message(volume: ExchangeVolume) -> block_pb2.ExchangeVolume:
    """Return the message of a volume."""
    return block_pb2.ExchangeVolume(
        consumer=volume.consumer,
        provider=volume.provider,
        meta=volume.meta,
        count=volume.count,
        ok=volume.ok,
        bus_failures=volume.bus_failures,
        provider_failures=volume.provider_failures,
        last_slot=to_timestamp(volume.last_slot),
        slots_from=to_timestamp(volume.slots_from),
        slots_to=to_timestamp(volume.slots_to),
    )


def reconciliation_to_message(row: Reconciliation) -> reconciliation_pb2.Reconciliation:
    """Return the message of a reconciliation."""
    return reconciliation_pb2.Reconciliation(
        link=row.link,
        window_days=row.window_days,
        exchanges=row.exchanges,
        ok=row.ok,
        shared=row.shared,
        silent=row.silent,
        compared=row.compared,
        logs=_estimate(row.logs),
        probes=_estimate(row.probes),
        difference=_estimate(row.difference),
        disagrees=row.disagrees,
        volume=_trend(row.volume),
        as_of=to_timestamp(row.as_of),
        last_hour=None if row.last_hour is None else to_timestamp(row.last_hour),
    )


def _estimate(row: Estimate | None) -> reconciliation_pb2.Estimate | None:
    return None if row is None else reconciliation_pb2.Estimate(value=row.value, low=row.low, high=row.high)


def _trend(row: Volume | None) -> reconciliation_pb2.Volume | None:
    return (
        None
        if row is None
        else reconciliation_pb2.Volume(
            recent=row.recent, expected=row.expected, deviation=row.deviation, unusual=row.unusual, trend=row.trend
        )
    )


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


def structure_to_message(structure: Structure) -> indicator_pb2.Structure:
    """Return the message of a structure. Without ``as_of``, as in a block, its provenance stays unset."""
    return indicator_pb2.Structure(
        as_of=to_timestamp(structure.as_of) if structure.as_of else None,
        islands=[indicator_pb2.Island(agencies=island) for island in structure.islands],
        reciprocity=_or_nan(structure.reciprocity),
        within_sectors=set_index_to_message(structure.within_sectors),
        across_sectors=set_index_to_message(structure.across_sectors),
        silo_gap=_or_nan(structure.silo_gap),
        providers=[indicator_pb2.ProviderRole(**_provider_fields(role)) for role in structure.providers],
        resilience=_or_nan(structure.resilience),
        **_structure_fields(structure),
    )


def set_index_to_message(index: SetIndex) -> indicator_pb2.SetIndex:
    """Return the message of a set's index, whose point is unset when it is not publishable."""
    return indicator_pb2.SetIndex(**_set_index_fields(index))


def structure_to_json(structure: Structure) -> str:
    """Return one line of JSON in the protobuf mapping, with proto field names; zeros are written out."""
    return message_to_json(structure_to_message(structure), zeros=True)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
