"""Exchanges are assigned to links, which may be shared, undeclared or silent."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from services.core.model.exchange import Flow
from services.core.model.reconciliation import BusTraffic, Reconciliation, Undeclared
from services.core.model.register import ExchangeRoute, Register
from services.indicator.exchanges.agreement import HourlyCounts
from services.indicator.exchanges.reconciliation import (
    DailyFlows,
    WindowSpan,
    find_silent_links,
    flows_per_link,
    links_with_flows,
    reconcile_links,
    traffic_by_window,
)
from services.indicator.exchanges.traffic import assign_flows
from services.indicator.register_arrays import RegisterArrays
from services.register.directory.load import load_register
from tests.support.registers import write_register

DAYS = 7
HOURS = DAYS * 24
FIRST = 500_000
START = date(2026, 3, 1).toordinal()
END = (FIRST + HOURS) * 3600 - 600
WINDOWS = {DAYS: WindowSpan(range(FIRST, FIRST + HOURS), range(START, START + DAYS), END)}
CIVIL = "X/G/2/civil/status"
SHARED = Flow("xroad", "land-registry", "civil-registry", "X/G/1/land", CIVIL, shared=True)
OWN = Flow("xroad", "tax-office", "customs", "X/G/3/tax", "X/G/4/imports", link="clearance-customs")
NOWHERE = Flow("xroad", "customs", "civil-registry", "X/G/4/customs", CIVIL)
UNKNOWN = Flow("other", "_unmapped", "civil-registry", "X/G/9/who", CIVIL)
META = Flow("xroad", "tax-office", "customs", "X/G/3/tax", "X/G/4/getWsdl", meta=True)


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Register:
    found = load_register(write_register(Path(tmp_path_factory.mktemp("register"))))
    routes = tuple(ExchangeRoute("X/G/1/land", CIVIL, link) for link in ("deed-civil", "transfer-civil"))
    return replace(found, routes=routes)


def carried(*carriers: Flow, each: int = 10) -> DailyFlows:
    """Return daily flows with this many exchanges an hour; one of them fails."""
    exchanges = np.full((len(carriers), DAYS), each * 24, np.int64)
    return DailyFlows(carriers, START, exchanges, exchanges - 24, FIRST)


def found(register: Register, of: DailyFlows) -> dict[str, Reconciliation]:
    """All findings about perfectly probed links, by link."""
    arrays, assigned = RegisterArrays.of(register), assign_flows(register, of.flows)
    links = [arrays.links[row] for row in links_with_flows(arrays, assigned)]
    both = np.stack([of.exchanges.repeat(24, axis=1) // 24, of.ok.repeat(24, axis=1) // 24], axis=1)
    carried = np.array([both[carriers].sum(axis=0) for carriers in flows_per_link(assigned, links)])
    exchanges, ok = carried.reshape(len(links), 2, HOURS).transpose(1, 0, 2)
    known = np.full((len(links), HOURS), 12)
    hours = HourlyCounts(exchanges, ok, known, known)
    clock = np.arange(FIRST, FIRST + HOURS)
    told = reconcile_links(links, assigned, hours, WINDOWS, clock=clock, since=FIRST, whole=FIRST + HOURS)
    silent, _ = find_silent_links(register, arrays, assigned, of, WINDOWS)[DAYS]
    return {one.link: one for one in (*told, *silent)}


def test_shared_volume_is_shown_whole_for_each_link(register: Register) -> None:
    """Two links on one X-Road service each show its whole volume, flagged as shared and not split."""
    one = found(register, carried(SHARED))
    for link in ("deed-civil", "transfer-civil"):
        assert one[link].exchanges == 10 * HOURS
        assert one[link].shared
        assert not one[link].silent


def test_failures_that_probes_do_not_see_are_told_with_intervals(register: Register) -> None:
    """A tenth of the exchanges fails behind perfect probes: both shares, their difference and the flag show it."""
    one = found(register, carried(OWN))["clearance-customs"]
    assert one.disagrees
    assert one.logs is not None
    assert one.probes is not None
    assert one.difference is not None
    assert one.logs.value == pytest.approx(0.9)
    assert one.logs.low < 0.9 < one.logs.high
    assert one.probes.value == 1.0
    assert one.difference.value == pytest.approx(-0.1)
    assert one.compared == one.exchanges == 10 * HOURS


def test_everything_says_what_it_was_worked_out_for_and_when_a_link_was_last_used(register: Register) -> None:
    """Links, silent links and traffic have the end of the window. Links with exchanges have their last hour."""
    of = carried(OWN)
    of.exchanges[0, 5:] = of.ok[0, 5:] = 0
    one = found(register, of)
    assert {one.as_of for one in one.values()} == {END}
    assert {link: one.last_hour for link, one in one.items() if not one.silent} == {
        "clearance-customs": (FIRST + 5 * 24 - 1) * 3600
    }
    assert [one.as_of for one in traffic_by_window(RegisterArrays.of(register), of, WINDOWS, {DAYS: None})] == [END]


def test_live_links_without_exchanges_are_silent(register: Register) -> None:
    """Unused live links are silent, but not absent ones and not those whose pair has unassigned exchanges."""
    silent = {link for link, one in found(register, carried(OWN)).items() if one.silent}
    assert silent == set(register.links) - {"transfer-customs", "clearance-customs"}
    elsewhere = replace(OWN, link="", consumer="land-registry", provider="civil-registry")
    silent = {link for link, one in found(register, carried(OWN, elsewhere)).items() if one.silent}
    assert silent == set(register.links) - {"transfer-customs", "clearance-customs", "deed-civil", "transfer-civil"}


def test_nothing_is_silent_before_a_week_was_read(register: Register) -> None:
    """A collector that began days ago has read too few days for silence. One without any exchange shows nothing."""
    young = replace(carried(OWN), since=FIRST + 1)
    assert not any(one.silent for one in found(register, young).values())
    assert found(register, carried(OWN, each=0)) == {}


def test_nothing_is_silent_where_links_in_use_are_as_quiet(register: Register) -> None:
    """While a link in use is seen on one day only, others may be unseen. Traffic has their estimated share."""
    of = carried(OWN, SHARED)
    of.exchanges[0, 1:] = 0
    assert not any(one.silent for one in found(register, of).values())
    arrays = RegisterArrays.of(register)
    silent = find_silent_links(register, arrays, assign_flows(register, of.flows), of, WINDOWS)
    (one,) = traffic_by_window(arrays, of, WINDOWS, {days: share for days, (_, share) in silent.items()})
    assert one.unseen_share == pytest.approx(6 / 7 / (6 / 7 + 3))  # one of three is seen once, none twice
    assert one.read_days == DAYS


def test_traffic_tells_buses_and_undeclared_pairs(register: Register) -> None:
    """Pairs without a link and unmapped parties are undeclared, with their volume. Meta services count nowhere."""
    (one,) = traffic_by_window(
        RegisterArrays.of(register), carried(SHARED, OWN, NOWHERE, UNKNOWN, META), WINDOWS, {DAYS: None}
    )
    assert one.exchanges == 40 * HOURS
    assert one.buses == (BusTraffic("xroad", 30 * HOURS), BusTraffic("other", 10 * HOURS))
    assert (one.undeclared_exchanges, one.undeclared_pairs) == (20 * HOURS, 2)
    assert one.undeclared == (
        Undeclared("_unmapped", "civil-registry", 10 * HOURS, 9 * HOURS),
        Undeclared("customs", "civil-registry", 10 * HOURS, 9 * HOURS),
    )


def test_link_that_left_the_register_is_of_its_pair(register: Register) -> None:
    """Exchanges of a link that left the register are unassigned, so its pair is not silent."""
    gone = replace(OWN, link="gone")
    one = found(register, carried(gone))
    assert "clearance-customs" not in one
    assert "gone" not in one
