"""What the bus carried beside what was probed, in blocks of the bucket `indicator` and over gRPC."""

from __future__ import annotations

from peyvand.v1 import reconciliation_pb2
from services.core.codec.units import timestamp
from services.core.model import BusTraffic, Estimate, Reconciliation, Traffic, Undeclared, Volume

__all__ = [
    "reconciliation_from_message",
    "reconciliation_to_message",
    "traffic_from_message",
    "traffic_to_message",
]


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
        as_of=None if one.as_of is None else timestamp(one.as_of),
        last_hour=None if one.last_hour is None else timestamp(one.last_hour),
    )


def reconciliation_from_message(one: reconciliation_pb2.Reconciliation) -> Reconciliation:
    """One link's exchanges beside its probes."""
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
            deviation=volume.deviation if volume.HasField("deviation") else None,
            unusual=volume.unusual,
            trend=volume.trend if volume.HasField("trend") else None,
        )
        if one.HasField("volume")
        else None,
        as_of=one.as_of.seconds if one.HasField("as_of") else None,
        last_hour=one.last_hour.seconds if one.HasField("last_hour") else None,
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
        as_of=None if one.as_of is None else timestamp(one.as_of),
    )


def traffic_from_message(one: reconciliation_pb2.Traffic) -> Traffic:
    """All exchanges of one window."""
    return Traffic(
        window_days=one.window_days,
        exchanges=one.exchanges,
        undeclared_exchanges=one.undeclared_exchanges,
        undeclared_pairs=one.undeclared_pairs,
        buses=tuple(BusTraffic(bus.bus, bus.exchanges) for bus in one.buses),
        undeclared=tuple(Undeclared(pair.consumer, pair.provider, pair.exchanges, pair.ok) for pair in one.undeclared),
        read_days=one.read_days,
        unseen_share=one.unseen_share if one.HasField("unseen_share") else None,
        as_of=one.as_of.seconds if one.HasField("as_of") else None,
    )


def _estimate_message(one: Estimate | None) -> reconciliation_pb2.Estimate | None:
    return None if one is None else reconciliation_pb2.Estimate(value=one.value, low=one.low, high=one.high)


def _estimate(one: reconciliation_pb2.Estimate) -> Estimate:
    return Estimate(one.value, one.low, one.high)
