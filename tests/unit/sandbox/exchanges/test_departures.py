"""Each departure of the traffic does what it says, and the detector finds all of them and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from services.core.model import FindingKind
from services.core.model.exchange import DURATION_BUCKETS
from services.indicator.findings import Detector, DetectorSettings, FlowCounts, Topology, find_all
from services.sandbox.exchanges.data_bus import make_data_bus
from services.sandbox.exchanges.departures import PERIOD, WEEK_STEPS, Departure
from services.sandbox.exchanges.exchange import ExchangeOutcome, SimulatedExchange
from services.sandbox.exchanges.traffic import SimulatedTraffic
from services.sandbox.logs.exchange_log import _bucket
from services.sandbox.scenario.scenario import make_scenario
from services.sandbox.timing import slot_timing

FIRST = 400_000_001
SLOT = 2
TIMES = slot_timing(SLOT)
SLOTS = 66
"""The slots of a period that are examined: until its departures have been over for three weeks."""


def traffic(seed: int, rate: float) -> SimulatedTraffic:
    bus = make_data_bus(make_scenario("small", seed=seed, base_port=7500, times=TIMES))
    return SimulatedTraffic(bus, rate=rate, seed=seed, times=TIMES, first_slot=FIRST, state=lambda _: {})


def departures_of(busy: SimulatedTraffic, period: int) -> list[Departure]:
    """Return the departures of a period, in slots of the run."""
    return list(busy.departures(FIRST + period * PERIOD, FIRST + (period + 1) * PERIOD))


def test_every_period_has_a_departure_of_each_kind() -> None:
    """Departures of volume take turns. All are of different services, which the seed decides."""
    busy, volumes = traffic(1, 1.0), (FindingKind.SILENCE, FindingKind.FALL, FindingKind.RISE)
    for period in range(4):
        departing = departures_of(busy, period)
        assert {one.kind for one in departing} == {*FindingKind} - {*volumes} | {volumes[period % 3]}
        assert len({one.service for one in departing}) == len(departing)
    assert departures_of(busy, 0) == departures_of(traffic(1, 9.0), 0) != departures_of(traffic(2, 1.0), 0)


def measures(exchanges: Sequence[SimulatedExchange], slots: int) -> dict[FindingKind, float]:
    """Return the measure of each kind for exchanges in this many slots."""
    number = max(len(exchanges), 1)
    outcomes = Counter(one.outcome for one in exchanges)
    stamps = [one.seen.stamps for one in exchanges]
    return {
        **dict.fromkeys((FindingKind.SILENCE, FindingKind.FALL, FindingKind.RISE), len(exchanges) / slots),
        FindingKind.BUS_FAILURES: outcomes[ExchangeOutcome.BUS_FAILURE] / number,
        FindingKind.PROVIDER_FAILURES: outcomes[ExchangeOutcome.PROVIDER_FAILURE] / number,
        FindingKind.SLOW: sum(end - begin for begin, *_, end in stamps) / number,
        FindingKind.SIZE: sum(one.response_bytes for one in exchanges) / number,
        FindingKind.REPEATS: 1 - len({one.message for one in exchanges}) / number,
    }


def test_departures_do_what_they_say() -> None:
    """Against the slots before, calls stop, fall to a tenth, quadruple, fail, take long, are large, or are repeated."""
    busy = traffic(1, 100.0)
    for departure in (one for period in range(3) for one in departures_of(busy, period)):
        before, during = (
            measures(
                [one for slot in slots for one in busy.of(FIRST + slot) if one.route.service == departure.service],
                len(slots),
            )[departure.kind]
            for slots in (range(departure.start - 14, departure.start), range(departure.start, departure.start + 14))
        )
        low, high = {
            FindingKind.SILENCE: (0.0, 0.0),
            FindingKind.FALL: (0.02 * before, 0.2 * before),
            FindingKind.RISE: (3 * before, 5 * before),
            FindingKind.BUS_FAILURES: (0.4, 0.8),
            FindingKind.PROVIDER_FAILURES: (0.4, 0.8),
            FindingKind.SLOW: (5 * before, 50 * before),
            FindingKind.SIZE: (3 * before, 5 * before),
            FindingKind.REPEATS: (0.15, 0.6),
        }[departure.kind]
        assert low <= during <= high, departure


def counted(slots: Sequence[Sequence[SimulatedExchange]]) -> tuple[Topology, FlowCounts]:
    """Return the flows and counts of exchanges in consecutive slots, as a scorer has them."""
    calls = sorted({(one.route.client, one.route.service) for slot in slots for one in slot if one.route.links})
    position = {call: number for number, call in enumerate(calls)}
    count, bus, provider, repeats, size = np.zeros((5, len(calls), len(slots)))
    durations = np.zeros((len(calls), len(slots), DURATION_BUCKETS), np.int64)
    for step, exchanges in enumerate(slots):
        seen: set[str] = set()
        for one in exchanges:
            if not one.route.links:
                continue
            cell = position[one.route.client, one.route.service], step
            count[cell] += 1
            bus[cell] += one.outcome is ExchangeOutcome.BUS_FAILURE
            provider[cell] += one.outcome is ExchangeOutcome.PROVIDER_FAILURE
            repeats[cell] += one.message in seen
            seen.add(one.message)
            size[cell] += one.request_bytes + one.response_bytes
            begin, *_, end = one.seen.stamps
            durations[*cell, _bucket(max(end - begin, 0))] += 1
    topology = Topology(
        flows=tuple(f"bus {client} {service}" for client, service in calls),
        bus=("bus",) * len(calls),
        service=tuple(f"bus {service}" for _, service in calls),
        provider=tuple(service.rpartition("/")[0] for _, service in calls),
        consumer=tuple("/".join(client.split("/")[:3]) for client, _ in calls),
    )
    steps = np.arange(len(slots))
    counts = FlowCounts(
        start=0,
        week_step=steps % WEEK_STEPS,
        kind=np.zeros(len(slots), np.int64),
        read=np.ones(len(slots), np.bool_),
        count=count,
        bus_failures=bus,
        provider_failures=provider,
        repeats=repeats,
        durations=durations,
        size=size,
    )
    return topology, counts


@pytest.mark.parametrize("period", [0, 1, 2])
def test_what_departs_is_found(period: int) -> None:
    """Each departure is found by its kind, while it lasts, in flows that call the service. Nothing else is found."""
    busy = traffic(2, 150.0)
    origin = period * PERIOD
    topology, counts = counted([busy.of(FIRST + origin + slot) for slot in range(SLOTS)])
    found = find_all(Detector(topology, DetectorSettings(0.1, SLOT, WEEK_STEPS)), counts)
    for departure in departures_of(busy, period):
        kind, start = departure.kind, departure.start - origin
        of_kind = [one for one in found if one.kind is kind]
        assert of_kind
        for one in of_kind:
            assert any(flow.endswith(f" {departure.service}") for flow in one.flows)
            assert start < one.found_at / SLOT <= departure.end - origin
            assert abs(one.since / SLOT - start) <= WEEK_STEPS
            assert one.ended_at is not None
            found.remove(one)
    assert found == []
