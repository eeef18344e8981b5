"""Decode messages of peyvand.v1 into the values that they were made from."""

from __future__ import annotations

import math

from peyvand.v1 import block_pb2, indicator_pb2, reconciliation_pb2
from services.core.codec import ExchangeVolume
from services.core.model.indicator import (
    ProviderRole,
    SetIndex,
    Structure,
)
from services.core.model.reconciliation import BusTraffic, Estimate, Reconciliation, Traffic, Undeclared, Volume

__all__ = [
    "reconciliation_from_message",
    "structure_from_message",
    "traffic_from_message",
    "volume_from_message",
]


def volume_from_message(message: block_pb2.ExchangeVolume) -> ExchangeVolume:
    """Return what one pair of agencies exchanged."""
    return ExchangeVolume(
        message.consumer,
        message.provider,
        message.meta,
        message.count,
        message.ok,
        message.bus_failures,
        message.provider_failures,
        message.last_slot.seconds,
        message.slots_from.seconds,
        message.slots_to.seconds,
    )


def reconciliation_from_message(one: reconciliation_pb2.Reconciliation) -> Reconciliation:
    """Return one link's exchanges beside its probes."""
    volume = one.volume
    return Reconciliation(
        link=one.link,
        window_days=one.window_days,
        exchanges=one.exchanges,
        ok=one.ok,
        shared=one.shared,
        silent=one.silent,
        compared=one.compared,
        logs=_estimate(one.logs) if one.HasField("logs") else None,
        probes=_estimate(one.probes) if one.HasField("probes") else None,
        difference=_estimate(one.difference) if one.HasField("difference") else None,
        disagrees=one.disagrees,
        volume=Volume(
            recent=volume.recent,
            expected=volume.expected if volume.HasField("expected") else None,
            unusual=volume.unusual,
            trend=volume.trend if volume.HasField("trend") else None,
        )
        if one.HasField("volume")
        else None,
        as_of=one.as_of.seconds,
        last_hour=one.last_hour.seconds if one.HasField("last_hour") else None,
    )


def traffic_from_message(one: reconciliation_pb2.Traffic) -> Traffic:
    """Return all exchanges of one window."""
    return Traffic(
        window_days=one.window_days,
        exchanges=one.exchanges,
        undeclared_exchanges=one.undeclared_exchanges,
        undeclared_pairs=one.undeclared_pairs,
        buses=tuple(BusTraffic(bus.bus, bus.exchanges) for bus in one.buses),
        undeclared=tuple(Undeclared(pair.consumer, pair.provider, pair.exchanges, pair.ok) for pair in one.undeclared),
        read_days=one.read_days,
        unseen_share=one.unseen_share if one.HasField("unseen_share") else None,
        as_of=one.as_of.seconds,
    )


def structure_from_message(message: indicator_pb2.Structure) -> Structure:
    """Return a structure with its provenance."""
    return Structure(
        window_days=message.window_days,
        pairs_required=message.pairs_required,
        pairs_working=message.pairs_working,
        pairs_absent=message.pairs_absent,
        pairs_unknown=message.pairs_unknown,
        pair_coverage=message.pair_coverage,
        pair_coverage_upper=message.pair_coverage_upper,
        pair_coverage_weighted=message.pair_coverage_weighted,
        pair_coverage_weighted_upper=message.pair_coverage_weighted_upper,
        isolates=tuple(message.isolates),
        islands=tuple(tuple(island.agencies) for island in message.islands),
        fragmentation=message.fragmentation,
        fragmentation_lower=message.fragmentation_lower,
        reciprocity=_or_none(message.reciprocity),
        within_sectors=_set_index(message.within_sectors),
        across_sectors=_set_index(message.across_sectors),
        silo_gap=_or_none(message.silo_gap),
        provider_concentration=message.provider_concentration,
        providers=tuple(
            ProviderRole(role.provider, role.links, role.share, role.loss, role.strict_loss)
            for role in message.providers
        ),
        bus_links=message.bus_links,
        bus_strict_loss=message.bus_strict_loss,
        resilience=_or_none(message.resilience),
        weakest=message.weakest,
        declared=message.declared,
        as_of=message.as_of.seconds,
        register_version=message.register_version,
        method_version=message.method_version,
        evidence_sequence=message.evidence_sequence,
    )


def _estimate(one: reconciliation_pb2.Estimate) -> Estimate:
    return Estimate(one.value, one.low, one.high)


def _set_index(message: indicator_pb2.SetIndex) -> SetIndex:
    point = message.point if message.HasField("point") else None
    return SetIndex(message.links, point, message.lower, message.upper, message.known_share)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
