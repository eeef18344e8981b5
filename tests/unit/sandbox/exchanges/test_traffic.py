"""The sandbox's agencies exchange messages, and their security servers keep records of them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from typing import Any

import pytest

from services.collector.ledger.summary import BOUNDS
from services.collector.records.xroad import ExchangeResult, read_side
from services.core.model.exchange import DURATION_BUCKETS
from services.sandbox.exchanges import traffic as traffic_module
from services.sandbox.exchanges.data_bus import make_data_bus
from services.sandbox.exchanges.exchange import ExchangeOutcome
from services.sandbox.exchanges.traffic import SimulatedTraffic
from services.sandbox.faults.faults import FaultMode, FaultScope
from services.sandbox.faults.timeline import FaultSpan, FaultTimeline
from services.sandbox.logs.exchange_log import ExchangeLog, _bucket, exchange_rows
from services.sandbox.scenario.scenario import BUS, SCENARIOS, make_scenario
from services.sandbox.security_server.operational_data import operational_records
from services.sandbox.timing import slot_timing

FIRST = 400_000_000
TIMES = slot_timing(5)
MADE = make_scenario("small", seed=1, base_port=7500, times=TIMES)
DATA_BUS = make_data_bus(MADE)
LINKS = {link for route in DATA_BUS.routes for link in route.links}
ENDINGS = {
    ExchangeResult.OK: ExchangeOutcome.OK,
    ExchangeResult.BUS_FAILURE: ExchangeOutcome.BUS_FAILURE,
    ExchangeResult.PROVIDER_FAILURE: ExchangeOutcome.PROVIDER_FAILURE,
}
LINE = FaultTimeline(MADE.served_links, bus=BUS, seed=1, first_slot=FIRST)


def traffic(rate: float = 20.0, seed: int = 1, state=LINE.state) -> SimulatedTraffic:
    return SimulatedTraffic(DATA_BUS, rate=rate, seed=seed, times=TIMES, first_slot=FIRST, state=state)


@pytest.mark.parametrize(("in_memory", "kept"), [(100_000, 64), (3_000, 30), (1, 20)])
def test_long_slots_do_not_fill_memory(in_memory, kept, monkeypatch):
    """The number of slots that stay in memory is limited, and lower where they have many exchanges."""
    monkeypatch.setattr(traffic_module, "_KEPT_EXCHANGES", in_memory)
    drawn = traffic()
    first = drawn.of(FIRST)
    for slot in range(FIRST, FIRST + 70):
        assert drawn.of(slot) is drawn.of(slot)
        assert len(drawn._drawn) <= kept
    assert len(drawn._drawn) == kept
    assert drawn.of(FIRST) == first


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_link_over_the_bus_has_one_route(name):
    """Each live link over the bus is on exactly one route and other links on none. No two routes are the same."""
    made = make_scenario(name, seed=1, base_port=7500, times=TIMES)
    bus = make_data_bus(made)
    served = Counter(link for route in bus.routes for link in route.links)
    assert served == dict.fromkeys((served.link for served in made.served_links if served.on_bus), 1)
    assert len({(route.client, route.service) for route in bus.routes}) == len(bus.routes)
    assert any(len(route.links) > 1 for route in bus.routes)
    assert any(route.weight == 0 for route in bus.routes)
    assert sum(route.unfair > 0 for route in bus.routes) == 1
    assert sum(not route.links for route in bus.routes) == 3
    assert set(bus.members.values()) == {agency.id for agency in made.agencies}


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("seed", range(5))
def test_what_is_in_no_register_is_between_agencies_without_a_link(name, seed):
    """About 5 % of calls are undeclared: an agency calls a provider without a link, and a firm calls another."""
    made = make_scenario(name, seed=seed, base_port=7500, times=TIMES)
    bus = make_data_bus(made)
    owner = {service.id: service.agency for service in made.services}
    linked = {(owner[link.service], link.provider) for link in made.links}
    undeclared = [route for route in bus.routes if not route.links and not route.service.endswith("/listMethods")]
    consumers, providers = (
        [bus.members.get("/".join(party(route).split("/")[:3])) for route in undeclared]
        for party in (lambda route: route.client, lambda route: route.provider)
    )
    assert consumers[0] is not None
    assert consumers[1] is None
    assert consumers[0] != providers[0] is not None
    assert (consumers[0], providers[0]) not in linked
    assert 0.03 < sum(route.weight for route in undeclared) / sum(route.weight for route in bus.routes) < 0.06


def test_the_same_seed_gives_the_same_traffic():
    """Two runs of one seed have the same exchanges in the same order. Another seed has others."""
    one, again, other = traffic(), traffic(), traffic(seed=2)
    assert [one.of(FIRST + n) for n in range(20)] == [again.of(FIRST + n) for n in reversed(range(20))][::-1]
    assert one.of(FIRST) != other.of(FIRST)
    assert one.of(FIRST - 1) == ()


def test_volume_follows_the_rate():
    """Over three simulated weeks exchanges follow the rate and the shape of weeks. At rate 0 there are none."""
    busy, idle = traffic(rate=33.0), traffic(rate=0.0)
    numbers = [len(busy.of(FIRST + n)) for n in range(21)]
    assert sum(numbers) == pytest.approx(33.0 * 5 * 21, rel=0.01)
    assert numbers[:7] == pytest.approx(numbers[7:14], abs=1)
    assert max(numbers) > 1.8 * min(numbers)
    assert not any(idle.of(FIRST + n) for n in range(200))


@pytest.mark.parametrize(
    ("mode", "cause", "ending", "sides"),
    [
        (FaultMode.REFUSED, FaultScope.LINK, ExchangeOutcome.PROVIDER_FAILURE, 2),
        (FaultMode.HUNG, FaultScope.PROVIDER, ExchangeOutcome.PROVIDER_FAILURE, 2),
        (FaultMode.HTTP_5XX, FaultScope.LINK, ExchangeOutcome.PROVIDER_FAILURE, 2),
        (FaultMode.HTTP_5XX, FaultScope.BUS, ExchangeOutcome.BUS_FAILURE, 1),
        (FaultMode.REFUSED, FaultScope.BUS, ExchangeOutcome.BUS_FAILURE, 1),
        (FaultMode.WRONG_RECORD, FaultScope.LINK, ExchangeOutcome.OK, 2),
        (FaultMode.SLOW, FaultScope.LINK, ExchangeOutcome.OK, 2),
    ],
)
def test_exchanges_fail_by_the_faults_of_their_links(mode, cause, ending, sides):
    """An exchange's outcome follows its link's fault. If the bus is the cause, the provider's side logs nothing."""
    links = {link for route in DATA_BUS.routes for link in route.links}
    state = {link: FaultSpan(link, FIRST, FIRST + 1, mode, cause, 0) for link in links}
    found = [one for one in traffic(rate=200, state=lambda _: state).of(FIRST) if one.route.links]
    fair = [one for one in found if not one.route.unfair]
    assert {one.outcome for one in fair} == {ending}
    both = [one for one in found if one.client and one.producer]
    assert all(one.client for one in found) if sides == 1 else len(both) > 0.9 * len(found)
    assert bool(both) is (sides == 2)
    if mode in (FaultMode.SLOW, FaultMode.HUNG):
        least = 1000 * (TIMES.slow if mode is FaultMode.SLOW else TIMES.timeout)
        assert all(one.seen.stamps[3] - one.seen.stamps[0] >= least for one in found)


def test_people_may_be_answered_worse_than_probers():
    """On the one unfair route exchanges fail even though its link works."""
    busy = traffic(rate=50, state=lambda _: {})
    found = [one for n in (*range(26), *range(46, 86)) for one in busy.of(FIRST + n)]  # while nothing departs
    assert {one.route.unfair > 0 for one in found if one.outcome is not ExchangeOutcome.OK} == {True}
    unfair = [one.outcome for one in found if one.route.unfair]
    assert 0.2 < unfair.count(ExchangeOutcome.PROVIDER_FAILURE) / len(unfair) < 0.4


def test_the_truth_is_what_the_records_say():
    """Records that are paired by id and deduplicated give the truth's rows: counts, endings, orphans, sums, skew."""
    busy = traffic(rate=30)
    slots = range(FIRST - 1, FIRST + 40)
    told: dict[str, dict[str, dict]] = {}
    copies: Counter[Any] = Counter()
    until = (slots.stop + busy.reach + 1) * TIMES.slot
    for server in range(len(DATA_BUS.servers)):
        for record in operational_records(busy, server, slots.start * TIMES.slot - 10, until):
            told.setdefault(record["xRequestId"], {})[record["securityServerType"]] = record
            copies[record["xRequestId"], record["securityServerType"]] += 1
    rows: dict[Any, dict[str, Any]] = {}
    for sides in told.values():
        client, producer = sides.get("Client"), sides.get("Producer")
        seen = client or producer
        assert seen is not None
        key = (
            seen["requestInTs"] // 1000 // TIMES.slot,
            "/".join(seen[f"client{part}"] for part in _PARTS),
            "/".join([*(seen[f"service{part}"] for part in _PARTS), seen["serviceCode"]]),
        )
        row = rows.setdefault(key, defaultdict(int))
        row["count"] += 1
        row["orphans"] += len(sides) == 1
        fault = seen.get("faultCode")
        ending = "provider_failures" if fault or seen.get("statusCode", 0) >= 500 else "ok"
        row["bus_failures" if fault == "Server.ClientProxy.NetworkError" else ending] += 1
        duration = seen["responseOutTs"] - seen["requestInTs"]
        row["duration_ms"] += duration
        row["duration_buckets"] = row["duration_buckets"] or [0] * DURATION_BUCKETS
        row["duration_buckets"][bisect_left(BOUNDS, duration)] += 1
        row["request_bytes"] += seen["requestSize"]
        row["response_bytes"] += seen["responseSize"]
        if client and producer:
            there = producer["requestInTs"] - client["requestOutTs"]
            row["skew_ms"] += (there - (client["responseInTs"] - producer["responseOutTs"])) // 2
            row["skew_count"] += 1
        copied = [copies[seen["xRequestId"], side] for side in sides]
        row["records"] += sum(copied)
        row["repeated"] += sum(copied) - len(copied)
    true = [row for slot in slots for row in exchange_rows(busy, slot)]
    assert len(true) > 1000
    for fact in true:
        known = rows.pop((fact["slot"], fact["client"], fact["service"]))
        assert {name: known[name] for name in fact if name not in ("slot", "client", "service", "late")} == {
            name: value for name, value in fact.items() if name not in ("slot", "client", "service", "late")
        }
    assert all(slot >= slots.stop for slot, *_ in rows)
    assert all(any(fact[name] for fact in true) for name in ("orphans", "repeated", "late", "provider_failures"))


def test_a_record_succeeds_as_x_road_says_and_is_read_as_it_ended():
    """As in X-Road, REST failures and "not found" are logged as not succeeded, without a fault code, and SOAP failures
    with a fault code and no status. The collector still reads each ending as it was.
    """
    states = [{}, {link: FaultSpan(link, FIRST, FIRST + 1, FaultMode.HTTP_5XX, FaultScope.LINK, 0) for link in LINKS}]
    found: Counter[Any] = Counter()
    for state in states:
        busy = traffic(rate=40, state=lambda _, now=state: now)
        endings = {one.id: one.outcome for slot in range(FIRST, FIRST + 20) for one in busy.of(slot)}
        for server in range(len(DATA_BUS.servers)):
            for record in operational_records(busy, server, FIRST * 5, (FIRST + 19) * 5):
                status, ending = record.get("statusCode"), endings[record["xRequestId"]]
                fault = record.get("faultCode")
                assert record["succeeded"] is (fault is None and (status or 0) < 400)
                assert (record["serviceType"], status is None) in (("REST", False), ("WSDL", True))
                assert status is None or fault is None
                assert ENDINGS[read_side(record).result] is ending
                found[fault or status, ending] += 1
    assert {status for status, ending in found if ending is ExchangeOutcome.OK} == {None, 200, 404}
    assert {status for status, ending in found if ending is ExchangeOutcome.PROVIDER_FAILURE} == {
        500,
        502,
        503,
        "SOAP-ENV:Server",
    }


_PARTS = ("XRoadInstance", "MemberClass", "MemberCode", "SubsystemCode")


def test_the_truth_has_the_collectors_buckets():
    """Both computations put durations at and beside every bound into the same bucket."""
    near = {round(2 ** (i / 2)) + more for i in range(42) for more in (-1, 0, 1)}
    assert all(_bucket(duration) == bisect_left(BOUNDS, duration) for duration in near)


def test_records_come_in_order_and_only_once():
    """Read in parts or at once, a server returns the same records in the order in which it stored them."""
    busy, again = traffic(), traffic()
    start, end = FIRST * 5, (FIRST + 30) * 5
    at_once = operational_records(busy, 2, start, end)
    pieces = [
        record
        for second in range(start, end + 1, 7)
        for record in operational_records(again, 2, second, min(second + 6, end))
    ]
    assert pieces == at_once
    assert at_once == sorted(at_once, key=lambda record: record["monitoringDataTs"])


def write(log: ExchangeLog, slot: int) -> None:
    for number in log.due(slot):
        log.write(number)


def test_the_truth_of_exchanges_is_written_ahead_and_goes_on(tmp_path):
    """Rows of a slot are written before it begins. A resumed log equals one without a stop, even after a torn line."""
    path, whole = tmp_path / "exchanges.ndjson", tmp_path / "whole.ndjson"
    log = ExchangeLog(path, traffic(), resumed=False)
    write(log, FIRST)
    log.close()
    assert f'"slot":{FIRST + 1}' in path.read_text()
    path.write_bytes(path.read_bytes()[:-7])
    for slot in (FIRST + 1, FIRST + 50):
        log = ExchangeLog(path, traffic(), resumed=True)
        write(log, slot)
        log.close()
    log = ExchangeLog(whole, traffic(), resumed=False)
    write(log, FIRST + 50)
    log.close()
    assert path.read_bytes() == whole.read_bytes()
    log = ExchangeLog(path, traffic(seed=2), resumed=False)
    log.close()
    assert path.read_bytes() == b""
