"""When links are in force and live, by day, by slot and by moment: one rule, evaluated in three ways (docs/method.md §3)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.core.model import ALWAYS, Link
from services.indicator.calendar import Calendar
from services.indicator.requirements import RequiredDays, RequiredSlots, probing_span

FIRST = date(2026, 3, 26)
EPOCH = datetime(2026, 3, 25, tzinfo=UTC).timestamp()

days = st.integers(0, 6).map(lambda number: FIRST + timedelta(days=number))
links = st.builds(
    Link,
    id=st.just("l"),
    service=st.just("s"),
    provider=st.just("p"),
    data_item=st.just("d"),
    required_from=st.none() | days,
    required_until=st.none() | days,
    live_from=st.none() | st.just(ALWAYS) | days,
)
# On March 29 clocks change in the last two zones; Beirut skips midnight.
zones = st.sampled_from(["UTC", "Asia/Tehran", "Asia/Beirut", "Europe/Berlin"])


@given(links, zones, st.sampled_from([300, 3600, 86400]))
def test_days_slots_and_moments_agree(link: Link, zone: str, slot_seconds: int) -> None:
    """A slot is in force, live and to be probed by its number exactly when it is by its day and by its start."""
    calendar = Calendar(zone, EPOCH, slot_seconds)
    by_day, by_slot = RequiredDays.of([link]), RequiredSlots.of_link(link, calendar)
    begins, ends = probing_span(link, calendar)
    assert begins >= EPOCH, "nothing counts before the epoch"
    for slot in range(calendar.epoch_slot, calendar.first_slot(FIRST + timedelta(days=8))):
        day = calendar.day_of(slot).toordinal()
        in_force, live = bool(by_day.in_force(day)[0]), bool(by_day.live(day)[0])
        assert (slot in by_slot.in_force) == in_force
        assert (slot in by_slot.in_force and slot >= by_slot.live_from) == live
        assert (begins <= calendar.start_of(slot) < ends) == live


@given(st.lists(links, max_size=4), st.integers(0, 6), st.integers(1, 6))
def test_spans_of_days_add_up(some: list[Link], start: int, length: int) -> None:
    """Slots on paper are those of days in force and not live; live throughout is live on each of the days."""
    required = RequiredDays.of(some)
    span = range(FIRST.toordinal() + start, FIRST.toordinal() + start + length)
    slots = [24 + day % 3 for day in span]
    per_day = [(required.in_force(day) & ~required.live(day)) * number for day, number in zip(span, slots, strict=True)]
    assert required.slots_on_paper(list(span), slots).tolist() == np.sum(per_day, axis=0).tolist()
    assert required.live_throughout(span).tolist() == [
        all(required.live(day)[row] for day in span) for row in range(len(some))
    ]
