"""Structure, exchange volumes, reconciliations and traffic: what blocks of the bucket `indicator` hold beside the index."""

from __future__ import annotations

import math
from dataclasses import dataclass

from google.protobuf import json_format

from peyvand.v1 import block_pb2, indicator_pb2, reconciliation_pb2
from services.core.codec.units import to_timestamp
from services.core.model import (
    Estimate,
    Reconciliation,
    SetIndex,
    Structure,
    Traffic,
)

__all__ = [
    "ExchangeVolume",
    "reconciliation_to_message",
    "set_index_to_message",
    "structure_to_json",
    "structure_to_message",
    "traffic_to_message",
    "volume_to_message",
]


@dataclass(frozen=True, slots=True)
class ExchangeVolume:
    """Exchanges between one consumer and one provider, on whichever links; times in epoch seconds.

    ``last_slot`` is the slot of the last one. Counted are those in slots that start in [``slots_from``, ``slots_to``); both
    are None in blocks of before they were kept.
    """

    consumer: str
    provider: str
    meta: bool
    count: int
    ok: int
    bus_failures: int
    provider_failures: int
    last_slot: int
    slots_from: int | None = None
    slots_to: int | None = None


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
        last_slot=to_timestamp(volume.last_slot),
        slots_from=None if volume.slots_from is None else to_timestamp(volume.slots_from),
        slots_to=None if volume.slots_to is None else to_timestamp(volume.slots_to),
    )


def reconciliation_to_message(one: Reconciliation) -> reconciliation_pb2.Reconciliation:
    """The message of one link's exchanges beside its probes."""
    volume = one.volume
    return reconciliation_pb2.Reconciliation(
        link=one.link,
        window_days=one.window_days,
        exchanges=one.exchanges,
        ok=one.ok,
        shared=one.shared,
        silent=one.silent,
        compared=one.compared,
        logs=_estimate_message(one.logs),
        probes=_estimate_message(one.probes),
        difference=_estimate_message(one.difference),
        disagrees=one.disagrees,
        volume=None
        if volume is None
        else reconciliation_pb2.Volume(
            recent=volume.recent,
            expected=volume.expected,
            deviation=volume.deviation,
            unusual=volume.unusual,
            trend=volume.trend,
        ),
        as_of=None if one.as_of is None else to_timestamp(one.as_of),
        last_hour=None if one.last_hour is None else to_timestamp(one.last_hour),
    )


def traffic_to_message(one: Traffic) -> reconciliation_pb2.Traffic:
    """The message of all exchanges of one window."""
    return reconciliation_pb2.Traffic(
        window_days=one.window_days,
        exchanges=one.exchanges,
        undeclared_exchanges=one.undeclared_exchanges,
        undeclared_pairs=one.undeclared_pairs,
        buses=[
            reconciliation_pb2.BusTraffic(bus=bus.bus, exchanges=bus.exchanges, share=bus.exchanges / one.exchanges)
            for bus in one.buses
        ],
        undeclared=[
            reconciliation_pb2.UndeclaredExchange(
                consumer=pair.consumer, provider=pair.provider, exchanges=pair.exchanges, ok=pair.ok
            )
            for pair in one.undeclared
        ],
        read_days=one.read_days,
        unseen_share=one.unseen_share,
        as_of=None if one.as_of is None else to_timestamp(one.as_of),
    )


def _estimate_message(one: Estimate | None) -> reconciliation_pb2.Estimate | None:
    return None if one is None else reconciliation_pb2.Estimate(value=one.value, low=one.low, high=one.high)


def structure_to_message(one: Structure) -> indicator_pb2.Structure:
    """The message of a structure. Without ``as_of``, as in a block, its provenance stays unset."""
    return indicator_pb2.Structure(
        window_days=one.window_days,
        as_of=to_timestamp(one.as_of) if one.as_of else None,
        register_version=one.register_version,
        method_version=one.method_version,
        evidence_sequence=one.evidence_sequence,
        pair_coverage=one.pair_coverage,
        pair_coverage_upper=one.pair_coverage_upper,
        pair_coverage_weighted=one.pair_coverage_weighted,
        pair_coverage_weighted_upper=one.pair_coverage_weighted_upper,
        isolates=one.isolates,
        islands=[indicator_pb2.Island(agencies=island) for island in one.islands],
        fragmentation=one.fragmentation,
        fragmentation_lower=one.fragmentation_lower,
        reciprocity=_or_nan(one.reciprocity),
        within_sectors=set_index_to_message(one.within_sectors),
        across_sectors=set_index_to_message(one.across_sectors),
        silo_gap=_or_nan(one.silo_gap),
        provider_concentration=one.provider_concentration,
        providers=[
            indicator_pb2.ProviderRole(
                provider=role.provider,
                links=role.links,
                share=role.share,
                loss=role.loss,
                strict_loss=role.strict_loss,
            )
            for role in one.providers
        ],
        bus_links=one.bus_links,
        bus_strict_loss=one.bus_strict_loss,
        resilience=_or_nan(one.resilience),
        weakest=one.weakest,
        declared=one.declared,
        pairs_required=one.pairs_required,
        pairs_working=one.pairs_working,
        pairs_absent=one.pairs_absent,
        pairs_unknown=one.pairs_unknown,
    )


def set_index_to_message(one: SetIndex) -> indicator_pb2.SetIndex:
    """The message of a set's index; point is left unset where it is not publishable."""
    return indicator_pb2.SetIndex(
        links=one.links, point=one.point, lower=one.lower, upper=one.upper, known_share=one.known_share
    )


def structure_to_json(one: Structure) -> str:
    """One line of JSON in the protobuf mapping, with proto field names; zeros are written out."""
    return json_format.MessageToJson(
        structure_to_message(one),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
        ensure_ascii=False,
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
