"""Measure how often intervals hold the truth, by simulating a scenario again and again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from services.indicator.intervals.outages import OutageAccumulator, OutageTotals
from services.indicator.intervals.recipe import combine_with_bus
from services.indicator.intervals.sets import ClassEstimates, CommonModeGuard, WindowCauses, bound_groups, bound_links
from services.indicator.verdicts.causes import CauseSums
from tests.calibration.government import KINDS, Government
from tests.calibration.published import Published, arrays_of
from tests.calibration.scenarios import SCENARIOS, SEED, WINDOWS
from tests.calibration.simulate import RECORD_DAYS, Life, live, truth

SAMPLE = 400
"""How many of a government's links and services are examined. Sets of other kinds are all examined."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """Intervals of some lives: ``estimate``, ``low`` and ``high`` (lives, sets), and the sets' ``truth`` (sets,).

    NaN where none is published.
    """

    truth: Floats
    estimate: Floats
    low: Floats
    high: Floats


def run(scenario_number: int, lives: range) -> dict[tuple[int, str], Found]:
    """Simulate the lives of these numbers. Return the intervals by window and kind."""
    scenario = SCENARIOS[scenario_number]

    def lived(days: int, rng: np.random.Generator) -> Sums | Published:
        if scenario.published:
            return Published(scenario, government, arrays_of(government, scenario), rng)
        return Sums(live(scenario, government, days, rng), government, young=scenario.young)

    root = np.random.SeedSequence(SEED, spawn_key=(scenario_number,))
    government = Government.of(scenario, np.random.default_rng(root.spawn(1)[0]))
    expected = truth(scenario, government)
    looked_at = {kind: _sample(government, kind) for kind in KINDS}
    rows: dict[tuple[int, str], list[tuple[Floats, ...]]] = {(days, kind): [] for days in WINDOWS for kind in KINDS}
    for number in lives:
        sums: Sums | Published | None = None
        for days in WINDOWS:
            # Where something changes with the window, each window has its own life.
            if sums is None or scenario.later:
                key = (scenario_number, 1 + number, days if scenario.later else 0)
                rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=key))
                sums = lived(days, rng)
            found = sums.intervals(days)
            for kind in KINDS:
                rows[days, kind].append(tuple(column[looked_at[kind]] for column in found[kind]))
    return {
        (days, kind): Found(
            government.mean(kind, expected)[looked_at[kind]],
            *(np.array(column) for column in zip(*rows[days, kind], strict=True)),
        )
        for days, kind in rows
    }


class Sums:
    """A life, summed once for all windows."""

    def __init__(self, life: Life, government: Government, *, young: bool) -> None:
        self._life, self._government, self._young = life, government, young
        self._spells: dict[int, OutageTotals] = {}
        self._daily = {kind: self._daily_losses(kind) for kind in KINDS if kind != "link"}

    def intervals(self, days: int) -> dict[str, tuple[Floats, ...]]:
        """Return estimate, low and high of every set by kind, over the last ``days``."""
        government = self._government
        record_days = days if self._young else RECORD_DAYS
        window = self._of(days)
        causes = WindowCauses.of(window, ClassEstimates.of(self._of(record_days), government.agencies))
        if self._life.losses is None:
            loss = causes.providers.loss[government.provider]
        else:
            loss = self._life.losses[-days:].mean(axis=0)
        weight = government.weight * government.live
        found = {}
        for kind in KINDS:
            sets = government.sets[kind]
            whole, connected = (np.bincount(sets.group, one, sets.size) for one in (government.weight, weight))
            if kind == "link":
                free = bound_links(causes, government.provider, loss)
            else:
                guard = CommonModeGuard.of(list(self._daily[kind][-record_days:])).over(days)
                free = bound_groups(sets, weight, loss, causes, guard)
            bounds = combine_with_bus(free, causes.bus)
            share = connected / np.where(whole > 0, whole, 1.0)
            found[kind] = tuple(share * (1.0 - loss) for loss in (bounds.loss, bounds.high, bounds.low))
        return found

    def _of(self, days: int) -> OutageTotals:
        """Return the sums over the last days, in the order bus, providers, links."""
        if days not in self._spells:
            life, provider = self._life, self._government.provider
            bus = OutageTotals(*np.zeros((4, 1))) if life.bus is None else _sum(life.bus, days, life.slot_seconds)
            providers = _sum(life.providers, days, life.slot_seconds)
            nothing = np.zeros(len(provider))
            own = (
                OutageTotals(providers.known[provider], nothing, nothing, nothing)
                if life.own is None
                else _sum(life.own, days, life.slot_seconds)
            )
            parts, names = (bus, providers, own), ("known", "down", "outages", "squares")
            self._spells[days] = OutageTotals(
                *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
            )
        return self._spells[days]

    def _daily_losses(self, kind: str) -> Floats:
        """Return each set's loss of each day without the bus, (days, sets), NaN where nothing is known."""
        government, losses = self._government, self._life.losses
        sets = government.sets[kind]
        weight: Floats = government.weight * government.live
        if losses is None:
            # Links of one provider have the same losses, so they are weighted together.
            of_provider = np.array([_loss(day) for day in self._life.providers])
            losses, group = of_provider[:, sets.pair_provider], sets.pair_group
            weight = np.bincount(sets.pair, weight, len(sets.pair_group)).astype(np.float64)
        else:
            group = sets.group
        matrix = csr_array((weight, (group, np.arange(len(group)))), shape=(sets.size, len(group)))
        known = ~np.isnan(losses)
        above, below = matrix @ np.where(known, losses, 0.0).T, matrix @ known.T.astype(np.float64)
        return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan).T


def _sum(rows: list[CauseSums], days: int, slot_seconds: int) -> OutageTotals:
    sums = OutageAccumulator(len(rows[0]), slot_seconds)
    for day in rows[RECORD_DAYS - days :]:
        sums.add(day)
    return sums.totals()


def _loss(day: CauseSums) -> Floats:
    return np.where(day.known > 0, day.down / np.maximum(day.known, 1), np.nan)


def _sample(government: Government, kind: str) -> NDArray[np.int64]:
    """Return the sets to examine: those with a connected link. Sets on paper alone are exact."""
    connected = np.bincount(government.sets[kind].group, government.live, government.sets[kind].size)
    there = np.flatnonzero(connected)
    return there[:: max(1, len(there) // SAMPLE)]
