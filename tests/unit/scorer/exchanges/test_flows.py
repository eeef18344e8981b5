"""Hours of exchanges become the flows of links, as the register names them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from services.core.model import StreamPosition
from services.core.model.exchange import ExchangeSummary
from services.core.model.register import ExchangeRoute, Member
from services.indicator.calendar import RECORD_DAYS, Calendar
from services.indicator.exchanges.reconciliation import flows_per_link
from services.indicator.exchanges.traffic import assign_flows, sum_traffic
from services.indicator.exchanges.volume import volume_change
from services.register.attribution import Attributor
from services.register.directory.load import load_register
from tests.support.cases.exchange_database import (
    BASE,
    CALENDAR,
    NOON,
    ByName,
    hours,
    opened,
    take,
    volumes,
)
from tests.support.registers import write_register


def test_hours_follow_revisions_and_the_register(tmp_path: Path) -> None:
    """Hours count each slot by its highest revision, in any order, for the link that the register names."""
    hour = NOON // 3600
    newer = replace(BASE, revision=2, count=7, ok=7)
    later = replace(BASE, slot_start=NOON + 3900)
    for order in ((BASE, newer, later), (later, newer, BASE), (newer, later, BASE, newer)):
        exchanges = opened(tmp_path / f"{len(list(tmp_path.iterdir()))}.sqlite")
        take(exchanges, *order, stored=NOON + 7200)
        exchanges.attribute_by(ByName("tax-civil"))
        flows, count, ok = hours(exchanges, range(hour - 1, hour + 2))
        found = {one.link: (row.tolist(), good.tolist()) for one, row, good in zip(flows, count, ok, strict=True)}
        assert found == {"tax-civil": ([0, 7, 10], [0, 7, 8])}
        exchanges.close()


def test_hours_of_nothing() -> None:
    """Before the first exchange there is no flow."""
    exchanges = opened(":memory:")
    carriers, count, _ = hours(exchanges, range(5, 9))
    assert (carriers, count.shape) == ((), (0, 4))
    exchanges.close()


def test_hours_are_trimmed_with_their_carriers() -> None:
    """Hours are kept as long as findings look back, beyond a short window. Then they and flows without hours go."""
    exchanges = opened(":memory:")
    take(exchanges, BASE, replace(BASE, service="X/G/2/civil/other", slot_start=NOON + 86_400), stored=NOON + 90_000)
    first = date(2026, 3, 1)
    list(exchanges.trim(first + timedelta(days=RECORD_DAYS), 28, calendar=CALENDAR))
    assert len(hours(exchanges, range(NOON // 3600, NOON // 3600 + 48))[0]) == 2
    list(exchanges.trim(first + timedelta(days=RECORD_DAYS + 1), 28, calendar=CALENDAR))
    carriers, count, _ = hours(exchanges, range(NOON // 3600, NOON // 3600 + 48))
    assert [one.service for one in carriers] == ["X/G/2/civil/other"]
    assert count.sum() == 10
    exchanges.close()


@pytest.mark.parametrize(("former_seconds", "seconds"), [(300, 600), (600, 300), (300, 420), (900, 600)])
def test_slots_of_another_length_replace_what_they_overlap(former_seconds: int, seconds: int) -> None:
    """Exchanges that come again in longer or shorter slots count once, in any order.

    Exchanges that do not come again stay. Late summaries of old slots that do not fit the new ones change nothing.
    """
    chance = random.Random(seconds)
    begin, again = NOON - 3 * 86_400, NOON // 12_600 * 12_600 - 86_400  # slots of all these lengths begin here
    moments = [chance.randrange(begin, NOON) for _ in range(1000)]
    before = Calendar("UTC", 0.0, former_seconds)
    after = Calendar("UTC", 0.0, seconds)

    def counted(since: int, length: int, revision: int) -> list[ExchangeSummary]:
        slots = Counter(moment // length * length for moment in moments if moment >= since)
        rows = [replace(BASE, slot_start=at, revision=revision, count=n, ok=n) for at, n in slots.items()]
        return [replace(row, bus_failures=0, provider_failures=0) for row in rows]

    exchanges = opened(":memory:")
    former_rows = counted(begin, former_seconds, 5)
    exchanges.take([(NOON + 60, "xroad", former_rows)], calendar=before, position=StreamPosition("E", "monday", 1))
    rows = counted(again, seconds, 1000)
    exchanges.take([(NOON + 60, "xroad", chance.sample(rows, len(rows)))], calendar=after)
    unfit = [row for row in former_rows if row.slot_start >= again and row.slot_start % seconds]
    exchanges.take([(NOON + 60, "xroad", unfit)], calendar=after)
    (one,) = volumes(exchanges, since=date(2026, 2, 1))
    assert (one.count, one.ok) == (1000, 1000)
    assert one.last_slot == max(moments) // seconds * seconds
    assert hours(exchanges, range(begin // 3600 - 1, NOON // 3600 + 1))[1].sum() == 1000
    list(exchanges.trim(date(2026, 3, 30), 90, calendar=after))
    exchanges.take([(NOON + 30 * 86_400, "xroad", [replace(BASE, slot_start=NOON + 29 * 86_400)])], calendar=after)
    (one,) = volumes(exchanges, since=date(2026, 2, 1))
    assert one.count == 1010
    exchanges.close()


def test_a_new_register_attributes_all_that_is_kept(tmp_path: Path) -> None:
    """Once a register names an unmapped consumer, its sixty days of exchanges belong to the link. This holds in hours,
    volumes and traffic, and the link's volume is as usual.
    """
    found = load_register(write_register(tmp_path / "register"))
    client, service = "X/G/3/tax", "X/G/4/customs/imports"
    register = replace(
        found,
        register_version="second",
        members=(Member("X/G/3", "tax-office"), Member("X/G/4", "customs")),
        routes=(ExchangeRoute(client, service, "clearance-customs"),),
    )
    row = replace(BASE, client=client, service=service)
    generic = replace(row, client="tax-office", service="customs/tax-clearance/imports")
    begin, days = NOON // 3600 * 3600, 60
    exchanges = opened(tmp_path / "exchanges.sqlite")
    for hour in range(0, days * 24, 24):
        slots = [begin + (hour + of_day) * 3600 for of_day in range(24)]
        rows = [replace(one, slot_start=slot, count=10 + slot // 3600 % 24) for slot in slots for one in (row, generic)]
        take(exchanges, *rows, stored=slots[-1] + 600)
    exchanges.attribute_by(Attributor(found))
    assert {one.consumer for one in volumes(exchanges)} == {"_unmapped", "tax-office"}
    exchanges.attribute_by(Attributor(register))
    span = range(begin // 3600, begin // 3600 + days * 24)
    carriers, count, ok = hours(exchanges, span)
    assert {(one.consumer, one.provider, one.link) for one in carriers} == {
        ("tax-office", "customs", "clearance-customs")
    }
    assigned = flows_per_link(assign_flows(register, carriers), ["clearance-customs"])[0]
    told = sum_traffic(
        {("tax-office", "customs")}, carriers, exchanges=count.sum(axis=1), ok=ok.sum(axis=1), window_days=90
    )
    total = 2 * sum(10 + slot % 24 for slot in span)
    assert (count[assigned].sum(), told.exchanges, told.undeclared_exchanges) == (total, total, 0)
    change = volume_change(count[assigned].sum(axis=0, keepdims=True).astype(np.int64), np.arange(len(span)))
    assert (change.seen == change.expected).all()
    (one,) = volumes(exchanges)
    assert (one.consumer, one.provider, one.count) == ("tax-office", "customs", total)
    exchanges.close()
