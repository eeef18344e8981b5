"""Learns the usual shares of exchanges that fail, repeat or are slow, and their usual sizes (docs/method.md §12.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.indicator.array_types import Bools, Floats, Ints, Numbers
from services.indicator.findings.expectation import LEARNED_WEEKS
from services.indicator.findings.inputs import DetectorSettings, StepCounts
from services.indicator.findings.kinds import Family

HALF_LIFE_DAYS: Final = 28.0

POOLED: Final = 20.0
"""The exchanges that the shares of all flows count for."""

SLOW_WEEK_KEPT: Final = 0.85
"""The weight that an hour's durations keep from one week to the next."""

LEAST_SHARE: Final = 1e-4

TAIL: Final = 0.25
"""The largest share of a flow's exchanges that counts as slow: those above a bound of its buckets."""

FEWEST: Final = 100.0
"""The exchanges after which a flow's shares, durations and sizes are judged. A flow is part of sums once its service
has as many.
"""

FAILING: Final = 2.0
"""The deviations beyond their usual number from which a step's failures are more than usual."""

SIZE_VARIANCE: Final = 2.0
"""The relative variance of sizes before any is known."""

MISFIT: Final = 0.05
"""The relative deviation of the usual that is allowed for even where it rests on many exchanges."""

_SHARES: Final = 3
_OUTLIER: Final = 5.0


@dataclass(slots=True, eq=False)
class ShareCounts:
    """Counts of the five families beside the volume, and what is expected of them, (5, f) each.

    Flags say which are ``known``, and known well enough for the flow itself to be ``judged``. ``doubt`` is the part by
    which expectations may be off.
    """

    count: Floats
    mean: Floats
    known: Bools
    judged: Bools
    doubt: Floats


@dataclass(slots=True, eq=False)
class Shares:
    """Decaying sums of f flows, whose services are numbered by ``service`` (f,).

    ``counts`` (3, f) are failures of the bus, failures of the provider, and repeats among ``exchanges`` (3, f).
    ``durations`` are (f, b), without buckets (f, 0). Exchanges from the bucket ``slow_from`` on are slow, and
    ``slow_hours`` (w, 2, f) are the slow ones seen and expected by step of the week. ``size`` (2, f) are the sums of
    bytes and of exchanges, and ``spread`` (2, f) those of the relative variance of sizes. ``since`` (3, f) are the
    steps since repeats, durations and sizes were first known.
    """

    service: Ints
    counts: Floats
    exchanges: Floats
    durations: Numbers
    slow_from: Ints
    slow_hours: Numbers
    size: Floats
    spread: Floats
    since: Ints

    @classmethod
    def empty(cls, service: Ints, week_steps: int) -> Shares:
        """Return the state before any exchange."""
        flows = len(service)
        return cls(
            service,
            np.zeros((_SHARES, flows)),
            np.zeros((_SHARES, flows)),
            np.zeros((flows, 0), np.float32),
            np.zeros(flows, np.int64),
            np.zeros((week_steps, 2, flows), np.float32),
            np.zeros((2, flows)),
            np.zeros((2, flows)),
            np.zeros((3, flows), np.int64),
        )

    def of_step(self, step: StepCounts) -> ShareCounts:
        """Return the counts of a step and what is expected of them, given its exchanges."""
        exchanges, seen = np.asarray(step.count, np.float64), _counted(step)
        usual, counted = self.usual(), ~np.isnan(seen)
        failures = seen[:2].sum(axis=0)
        # Failed exchanges are short, and quick or waited for in vain: durations and sizes say no more than failures.
        most = usual[:2].sum(axis=0) * exchanges
        failing = failures > most + FAILING * np.sqrt(most)
        nothing = np.zeros_like(exchanges)
        slow, slow_mean, timed = self._slow(step, nothing)
        slow_mean = slow_mean * self._slow_factor(step)
        size, size_mean, sized = self._sizes(step, exchanges, nothing)
        # The margin is two deviations: a share that rests on few counts may be larger than it seems.
        margin = (2.0 * np.sqrt(self.counts + 1.0) + 1.0) / (self.exchanges + POOLED)
        misfit = np.full((2, len(exchanges)), MISFIT)
        measured = np.stack([timed, sized]) & (self.exchanges[0] >= FEWEST) & ~failing
        long = self.since >= LEARNED_WEEKS * len(self.slow_hours)
        known = np.concatenate([(self._of_service(self.exchanges) >= FEWEST) & counted, measured])
        known[Family.REPEATS - 1 :] &= long
        return ShareCounts(
            count=np.concatenate([np.where(counted, seen, 0.0), slow[None], size[None]]),
            mean=np.concatenate([usual * exchanges, slow_mean[None], size_mean[None]]),
            known=known,
            judged=known & np.concatenate([self.exchanges >= FEWEST, measured]),
            doubt=np.concatenate([margin / usual + MISFIT, misfit]),
        )

    def _of_service(self, values: Floats) -> Floats:
        """Return the sums over the service of each flow, of values (n, f)."""
        sums = np.stack([np.bincount(self.service, of_flows) for of_flows in values])
        return np.asarray(sums[:, self.service])

    def usual(self) -> Floats:
        """Return the usual shares, (3, f), pooled with those of the service."""
        usual = (self.counts + POOLED * self._usual_of_service()) / (self.exchanges + POOLED)
        return np.asarray(np.maximum(usual, LEAST_SHARE))

    def _usual_of_service(self) -> Floats:
        """Return the usual shares of each flow's service, (3, f), pooled with those of all."""
        of_all = (self.counts.sum(axis=1) + LEAST_SHARE * POOLED) / (self.exchanges.sum(axis=1) + POOLED)
        counts, exchanges = self._of_service(self.counts), self._of_service(self.exchanges)
        return np.asarray((counts + POOLED * of_all[:, None]) / (exchanges + POOLED))

    def _slow(self, step: StepCounts, nothing: Floats) -> tuple[Floats, Floats, Bools]:
        if step.durations is None or step.durations.shape[1] != self.durations.shape[1]:
            return nothing, nothing, np.zeros(len(nothing), np.bool_)
        slow = np.arange(self.durations.shape[1]) >= self.slow_from[:, None]
        total = self.durations.sum(axis=1, dtype=np.float64)
        share = (self.durations * slow).sum(axis=1, dtype=np.float64) / np.maximum(total, 1.0)
        timed = step.durations.sum(axis=1)
        return (step.durations * slow).sum(axis=1), timed * np.maximum(share, 0.01), total >= FEWEST

    def _slow_factor(self, step: StepCounts) -> Floats:
        """Return the ratio of slow exchanges in this step of the week to the average: busy services are slow."""
        slow, mean = self.slow_hours[step.week_step].astype(np.float64)
        return np.asarray((slow + POOLED) / (mean + POOLED))

    def _sizes(self, step: StepCounts, exchanges: Floats, nothing: Floats) -> tuple[Floats, Floats, Bools]:
        """Return sizes, their means and where they are known, in units of the usual size times its relative variance.

        In these units, sizes differ by chance as counts do.
        """
        if step.size is None:
            return nothing, nothing, np.zeros(len(nothing), np.bool_)
        usual = self.size[0] / np.maximum(self.size[1], 1.0)
        variance = np.maximum((self.spread[0] + 24 * SIZE_VARIANCE) / (self.spread[1] + 24), 0.05)
        size = np.asarray(step.size, np.float64)
        some = (usual > 0) & ~np.isnan(size)
        return np.where(some, size / np.where(some, usual, 1.0), 0.0) / variance, exchanges / variance, some

    def learn(self, step: StepCounts, settings: DetectorSettings, suspected: Bools) -> None:
        """Learn a step of each flow, except what is ``suspected`` (5, f)."""
        kept = 0.5 ** (1.0 / (HALF_LIFE_DAYS * settings.day_steps))
        exchanges = np.asarray(step.count, np.float64)
        usual = self.usual() * exchanges
        most = usual + _OUTLIER * np.sqrt(usual + usual**2) + 1.0
        settled = self.exchanges >= FEWEST
        seen = _counted(step)
        whole = ~np.isnan(seen) & ~suspected[:_SHARES].any(axis=0)
        count = np.where(settled, np.minimum(seen, most), seen)
        self.counts = np.where(whole, kept * self.counts + count, self.counts)
        self.exchanges = np.where(whole, kept * self.exchanges + exchanges, self.exchanges)
        self._see_since(step, exchanges)
        if step.durations is not None:
            self._learn_durations(step, kept, suspected[_SHARES])
        if step.size is not None:
            self._learn_sizes(np.asarray(step.size, np.float64), exchanges, kept, suspected[_SHARES + 1])

    def _see_since(self, step: StepCounts, exchanges: Floats) -> None:
        nothing = np.zeros(len(exchanges), np.bool_)
        now = [
            ~np.isnan(np.asarray(step.repeats, np.float64)),
            nothing if step.durations is None else step.durations.any(axis=1),
            nothing if step.size is None else ~np.isnan(np.asarray(step.size, np.float64)),
        ]
        self.since += (self.since > 0) | (np.stack(now) & (exchanges > 0))

    def _learn_durations(self, step: StepCounts, kept: float, suspected: Bools) -> None:
        durations = np.asarray(step.durations)
        if self.durations.shape != durations.shape:
            self.durations = np.zeros(durations.shape, np.float32)
        slow, mean, _ = self._slow(step, np.zeros(len(durations)))
        hour = self.slow_hours[step.week_step]
        hour[:] = np.where(suspected, hour, SLOW_WEEK_KEPT * hour + np.stack([slow, mean])).astype(np.float32)
        learned = ~suspected[:, None]
        self.durations = np.where(learned, np.float32(kept) * self.durations + durations, self.durations).astype(
            np.float32
        )

    def _learn_sizes(self, size: Floats, exchanges: Floats, kept: float, suspected: Bools) -> None:
        some = ~suspected & (exchanges > 0) & ~np.isnan(size)
        usual = self.size[0] / np.maximum(self.size[1], 1.0)
        settled = some & (self.size[1] >= FEWEST) & (usual > 0)
        scaled = size / np.where(usual > 0, usual, 1.0)
        square = np.minimum((scaled - exchanges) ** 2 / np.maximum(exchanges, 1.0), 100.0)
        self.spread[0] = np.where(settled, kept * self.spread[0] + square, self.spread[0])
        self.spread[1] = np.where(settled, kept * self.spread[1] + 1.0, self.spread[1])
        self.size = np.where(some, kept * self.size + np.stack([size, exchanges]), self.size)

    def end_day(self) -> None:
        """Choose the bucket from which exchanges count as slow: the lowest above which at most TAIL of them are."""
        if not self.durations.shape[1]:
            return
        total = np.maximum(self.durations.sum(axis=1, dtype=np.float64), 1.0)
        above = np.cumsum(self.durations[:, ::-1], axis=1, dtype=np.float64)[:, ::-1] / total[:, None]
        slow_from = np.asarray((above > TAIL).sum(axis=1), np.int64)
        self.slow_hours[:, :, slow_from != self.slow_from] = 0.0
        self.slow_from = slow_from

    def rescale(self, family: Family, flows: Ints, ratios: Floats) -> None:
        """Multiply what is usual of some flows in one family by ``ratios``.

        Durations keep no shape when they change, so they are learned again from nothing.
        """
        if family is Family.SIZE:
            self.size[0, flows] *= ratios
        elif family is Family.SLOW:
            self.durations[flows] = 0.0
            self.slow_hours[:, :, flows] = 0.0
            self.since[Family.SLOW - Family.REPEATS, flows] = 0
        else:
            share = family - 1, flows
            counts = ratios * self.usual()[share] * (self.exchanges[share] + POOLED)
            counts -= POOLED * self._usual_of_service()[share]
            self.counts[share] = np.clip(counts, 0.0, self.exchanges[share])


def _counted(step: StepCounts) -> Floats:
    """Return failures of bus and provider and repeats, (3, f)."""
    return np.array([step.bus_failures, step.provider_failures, step.repeats], np.float64)
