"""Simulate one life of a government: every slot of 90 days, as rows per cause and day."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.model.outcome import Stage
from services.indicator.verdicts.causes import DOWN, UNKNOWN, CauseSums, cause_states, pause_slots, sum_states
from tests.calibration.government import Government
from tests.calibration.processes import Events, batches, flaps, renewal, share_busy, share_down
from tests.calibration.scenarios import Outages, Scenario

RECORD_DAYS = 90
HOURS = 24.0 * RECORD_DAYS

States = NDArray[np.int8]


@dataclass(frozen=True)
class Life:
    """Rows of each day, a row per day and cause: ``bus`` (None if not attributed), ``providers``, and links' ``own``.

    Slots last ``slot_seconds``. ``own`` is None where links have no faults but their provider's. Otherwise ``losses``
    (days, n) are the losses of links.
    """

    bus: list[CauseSums] | None
    providers: list[CauseSums]
    slot_seconds: int
    own: list[CauseSums] | None = None
    losses: NDArray[np.float64] | None = None


def live(scenario: Scenario, government: Government, window: int, rng: np.random.Generator) -> Life:
    """Simulate the record that ends with a window of so many days."""
    outages = _outages(scenario, government.agencies, window, rng)
    bus_events = renewal(rng, [scenario.bus], 1, HOURS) if scenario.bus else None
    if scenario.by_link:
        return _by_link(scenario, government, outages, rng)
    states: States = _met(scenario, outages, government.agencies, rng).astype(np.int8)
    if scenario.flapping:
        states &= flaps(rng, states.shape[0], states.shape[1], 60 * scenario.flapping // scenario.slot_seconds)
    bus: States = np.zeros((len(states), 1), dtype=np.int8)
    if bus_events:
        bus[:] = _met(scenario, bus_events, 1, rng)
        # All inquiries fail with the bus. If the bus is known, the providers are unknown then.
        states[bus[:, 0] == DOWN] = UNKNOWN if scenario.attributed else DOWN
    if scenario.gaps:
        states[_met(scenario, renewal(rng, [scenario.gaps], 1, HOURS), 1, rng)[:, 0]] = UNKNOWN
    if scenario.blank:
        states[rng.random(states.shape) < scenario.blank] = UNKNOWN
    known_bus = scenario.bus and scenario.attributed
    return Life(_rows(bus, scenario) if known_bus else None, _rows(states, scenario), scenario.slot_seconds)


def verdicts(
    scenario: Scenario, government: Government, window: int, rng: np.random.Generator
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Simulate the same link by link: the stages of links (n, slots) and of the bus's endpoint (1, slots).

    A link that is never measured or not live is -1, and so is a bus that does not exist.
    """
    outages = _outages(scenario, government.agencies, window, rng)
    bus = np.zeros((RECORD_DAYS * scenario.slots_a_day, 1), dtype=np.bool_)
    if scenario.bus:
        bus = _met(scenario, renewal(rng, [scenario.bus], 1, HOURS), 1, rng)
    down = _faults(scenario, government, outages, rng) | (bus & government.on_bus)
    links, of_bus = (np.where(one.T, np.int8(Stage.NOT_CONNECTED), np.int8(Stage.OK)) for one in (down, bus))
    links[~government.live | government.unheard] = -1
    if not scenario.bus:
        of_bus[:] = -1
    return links, of_bus


def truth(scenario: Scenario, government: Government) -> NDArray[np.float64]:
    """Return the long-run expected q of each link (n,), in the simulated windows.

    Where outages change in the middle of the window, it is the mean of both halves: the average index of this
    window, were it lived again and again.
    """
    causes = np.arange(government.agencies)
    batch = share_busy(scenario.batch)

    def up(kinds: tuple[Outages, ...]) -> NDArray[np.float64]:
        shares = np.array([share_down(kind) for kind in kinds])[causes % len(kinds)]
        return 1 - shares * (0.5 if scenario.flapping else 1.0)

    of_provider = up(scenario.providers)
    if scenario.later:
        later = up(scenario.later)
        of_provider = later if scenario.shift else (of_provider + later) / 2
    half = np.where(_second(government), 1 - share_down(scenario.partial), 1.0)
    bus = 1 - share_down(scenario.bus) * government.on_bus
    common = bus * (1 - batch) * (1 - share_down(scenario.own))
    return government.live * common * half * of_provider[government.provider]


def _outages(scenario: Scenario, causes: int, window: int, rng: np.random.Generator) -> Events:
    events = renewal(rng, scenario.providers, causes, HOURS)
    if scenario.later:
        change = HOURS - 24.0 * window / (1 if scenario.shift else 2)
        after = renewal(rng, scenario.later, causes, HOURS).cut(change, HOURS)
        events = Events.joined([events.cut(0.0, change), after])
    if scenario.batch:
        events = Events.joined([events, batches(rng, scenario.batch, causes, HOURS)])
    return events


def _faults(scenario: Scenario, government: Government, outages: Events, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which slots (slots, links) are down without the bus, with each link probed at its own phase."""
    members = [np.flatnonzero(government.provider == agency) for agency in range(government.agencies)]
    parts = [outages.spread_to(members)]
    if scenario.own:
        parts.append(renewal(rng, [scenario.own], len(government.provider), HOURS))
    if scenario.partial:
        second = _second(government)
        halves = [one[second[one]] for one in members]
        parts.append(renewal(rng, [scenario.partial], government.agencies, HOURS).spread_to(halves))
    return _met(scenario, Events.joined(parts), len(government.provider), rng)


def _by_link(scenario: Scenario, government: Government, outages: Events, rng: np.random.Generator) -> Life:
    links = len(government.provider)
    down = _faults(scenario, government, outages, rng)
    verdicts = np.where(down, np.int8(Stage.NOT_CONNECTED), np.int8(Stage.OK))
    verdicts[:, ~government.live] = -1
    by_day = _days_beside(verdicts)
    states = cause_states(government.frame_of_days(RECORD_DAYS), by_day, None)
    rows = sum_states(states, pause_slots(scenario.slot_seconds))
    ends = 1 + np.cumsum([0, government.agencies * RECORD_DAYS, links * RECORD_DAYS])
    providers, own = (_split(_part(rows, slice(*span))) for span in pairwise(ends.tolist()))
    losses = down.reshape(RECORD_DAYS, scenario.slots_a_day, links).mean(axis=1)
    return Life(None, providers, scenario.slot_seconds, own, losses)


def _second(government: Government) -> NDArray[np.bool_]:
    """Return every second link of each provider."""
    order = np.argsort(government.provider, kind="stable")
    second = np.zeros(len(order), dtype=np.bool_)
    second[order[1::2]] = True
    return second


def _met(scenario: Scenario, events: Events, causes: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which slots (slots, causes) are down, probed at random phases."""
    phases = rng.random(causes) * scenario.slot_hours
    return events.slots(phases, RECORD_DAYS * scenario.slots_a_day, scenario.slot_hours)


def _rows(states: States, scenario: Scenario) -> list[CauseSums]:
    return _split(sum_states(_days_beside(states), pause_slots(scenario.slot_seconds)))


def _days_beside(slots: NDArray[Any]) -> NDArray[Any]:
    """Return slots of days (days x slots, c) with the days side by side: (slots, days x c)."""
    apart = slots.reshape(RECORD_DAYS, -1, slots.shape[1])
    return np.ascontiguousarray(apart.swapaxes(0, 1)).reshape(apart.shape[1], -1)


def _split(rows: CauseSums) -> list[CauseSums]:
    """Split rows of days that stand side by side, day by day."""
    causes = len(rows) // RECORD_DAYS
    return [_part(rows, slice(day * causes, (day + 1) * causes)) for day in range(RECORD_DAYS)]


def _part(rows: CauseSums, part: slice) -> CauseSums:
    return CauseSums(rows.known[part], rows.down[part], rows.outages[part], rows.head[part], rows.tail[part])
