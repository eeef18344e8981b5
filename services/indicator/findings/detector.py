"""Detects unusual traffic: reads steps of counts, returns findings that begin, change and end (docs/method.md §12)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.core.model import Finding
from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.findings.causes import DEPARTING, Charge, Departures, charge_causes
from services.indicator.findings.inputs import DetectorSettings, StepCounts, Topology
from services.indicator.findings.kinds import SHARES, SIDE_OF_TEST, SIDES, Family, thresholds
from services.indicator.findings.open_findings import OpenFinding, chance_of, mean_duration
from services.indicator.findings.rows import Rows
from services.indicator.findings.steps import JudgedStep
from services.indicator.findings.streams import WatchedStreams


@dataclass(frozen=True, slots=True)
class FindingChanges:
    """The findings that a step changed. ``withdrawn`` are ids of findings that one of ``opened`` now explains."""

    opened: tuple[Finding, ...] = ()
    updated: tuple[Finding, ...] = ()
    ended: tuple[Finding, ...] = ()
    withdrawn: tuple[str, ...] = ()

    def apply_to(self, found: dict[str, Finding]) -> None:
        """Apply the changes to findings by id."""
        for withdrawn in self.withdrawn:
            found.pop(withdrawn, None)
        found.update((one.id, one) for one in (*self.opened, *self.updated, *self.ended))


class Detector:
    """Watches the flows of a topology, one step after another."""

    def __init__(self, topology: Topology, settings: DetectorSettings) -> None:
        self.settings = settings
        self.rows = Rows.of(topology)
        self.streams = WatchedStreams(self.rows, settings)
        self._limits = thresholds(len(self.rows), settings.week_steps, settings.false_findings_per_week)
        self._open: list[OpenFinding] = []
        self._number = 0
        self._day = -1
        self._kind = 0

    def advance(self, step: StepCounts) -> FindingChanges:
        """Judge a step, then learn it. Steps are given in order and without gaps, with ``read`` False if not read."""
        day = step.week_step // self.settings.day_steps
        self.streams.see_variances()
        if day != self._day:
            self.streams.end_day(self._kind, self._number - 1)
            self.streams.begin_day(day)
            self._day, self._kind = day, step.kind
        expected = self.streams.expect(step)
        changes = FindingChanges()
        if step.read:
            judged = self.streams.judge(step, expected, self._covered(step), self._number)
            changes = self._change(judged, step)
        midnight = self._number - step.week_step % self.settings.day_steps
        self.streams.learn(step, expected, self._covered(step), self._covered(step, midnight), self._number)
        self._number += 1
        return changes

    def quiet(self, flow: int) -> float | None:
        """Return the days without an exchange after which the silence of a flow would be found; None before it is judged."""
        expectation = self.streams.expectation
        if not expectation.judged()[flow]:
            return None
        level, doubt = expectation.level(self.settings, self.streams.day_variance())
        daily = float(level[flow] * (1.0 - min(doubt[flow], 0.9))) * self.settings.day_steps
        return float(self._limits[0]) / daily

    def _covered(self, step: StepCounts, before: int | None = None) -> Bools:
        """Return the flows of open findings, and those that the step leaves out, (families, f).

        With ``before``, only findings that began before that step count.
        """
        covered = np.zeros((len(Family), self.rows.flows), np.bool_)
        if step.left_out is not None:
            covered[:] = step.left_out
        for one in self._open:
            if before is None or one.since < before:
                covered[SIDES[one.side].family, one.flows] = True
        return covered

    def _change(self, judged: JudgedStep, step: StepCounts) -> FindingChanges:
        ended = [self._told(one, over) for one, over in self._continue(judged, step)]
        opened, withdrawn = self._find(judged, step)
        fresh = {finding.id for finding in opened}
        updated = [finding for one in self._open if (finding := self._told(one, None)).id not in fresh]
        return FindingChanges(tuple(opened), tuple(updated), tuple(ended), tuple(withdrawn))

    def _told(self, one: OpenFinding, ended_at: int | None) -> Finding:
        return one.finding(self.rows, self.streams.expectation.slow[0], self.settings, ended_at)

    def _time_of(self, number: int, step: StepCounts) -> int:
        return step.start - (self._number - number) * self.settings.step_seconds

    def _continue(self, judged: JudgedStep, step: StepCounts) -> list[tuple[OpenFinding, int]]:
        """Add the step to open findings; return those that are over, with the moments at which they ended."""
        over: list[tuple[OpenFinding, int]] = []
        for one in self._open:
            if one.ends_with_day(self._day, self.streams.days[one.side, one.flows], self._number - 1):
                over.append((one, self._time_of(one.back_since, step)))
                continue
            family = SIDES[one.side].family
            of_flows = np.stack([judged.of_flows[family, one.flows], judged.means_of_flows[family, one.flows]])
            mean = float(of_flows[1].sum())
            if family is Family.SLOW:
                _add_durations(one, step, self.settings)
            base = self._base(one, family, of_flows[1], step)
            one.add(of_flows, base, mean / float(self._weights(one.side, [one.row], mean)[0]))
            if one.ends(*self._judged_of(one, of_flows), base, self._number):
                over.append((one, self._time_of(one.back_since, step)))
            elif one.may_become_usual and self._number >= one.usual_from(self.settings.week_steps):
                one.usual = True
                over.append((one, step.start + self.settings.step_seconds))
                self.streams.take_as_usual(family, np.array(one.flows), one.ratios())
        for one, _ in over:
            self._open.remove(one)
            self.streams.forget(SIDES[one.side].family, one.flows, self._number)
        return over

    def _find(self, judged: JudgedStep, step: StepCounts) -> tuple[list[Finding], list[str]]:
        """Open findings where the evidence suffices; return them, and the ids of those that they explain."""
        found = self.streams.found(self._limits, judged)
        opened: list[Finding] = []
        withdrawn: list[str] = []
        for side in np.unique(SIDE_OF_TEST[found.any(axis=1)]).tolist():
            # A finding of one side may have reset the evidence of another, in all rows that share its flows.
            alarms = self.streams.found(self._limits, judged)[side == SIDE_OF_TEST].any(axis=0)
            if not alarms.any():
                continue
            strongest, best = self.streams.evidence.strongest()
            departures = self._departures(side, strongest[side], best[side], alarms, judged, step)
            charges = charge_causes(departures, self.rows)
            # Before any of them begins, because that resets the evidence of all rows that share its flows.
            since_change = [
                self._since_change(side, charge, strongest[side], best[side], judged, step.week_step)
                for charge in charges
            ]
            for charge, sums in zip(charges, since_change, strict=True):
                under = set(charge.flows.tolist())
                replaced = [one for one in self._open if one.side == side and under.issuperset(one.flows)]
                before = {self._told(one, None).id for one in replaced}
                chance = chance_of(float(strongest[side, charge.found_by]))
                finding = self._begin(side, charge, sums, chance, step, replaced)
                withdrawn += sorted(before - {finding.id})
                if finding.id not in before:
                    opened.append(finding)
        return opened, withdrawn

    def _departures(
        self, side: int, strongest: Floats, best: Ints, alarms: Bools, judged: JudgedStep, step: StepCounts
    ) -> Departures:
        evidence, flows = self.streams.evidence, self.rows.flows
        rows = np.arange(len(self.rows))
        seen, expected = evidence.seen[best, rows], evidence.expected[best, rows]
        top = int(np.where(alarms, strongest, -np.inf).argmax())
        family, ratio = SIDES[side].family, float(seen[top] / max(expected[top], 1e-9))
        begun = int(evidence.begun[best[top], top])
        steps = self._number - begun + 1
        alike = np.full(flows, ratio)
        if family in SHARES:  # each share would rise by as many points
            points = (ratio - 1.0) * self._usual(family, self.rows.flows_of(top), steps, step)
            alike = 1.0 + points / self.streams.shares.usual()[family - 1]
        due, ratios = self.streams.expected_since(family, steps, step.week_step, judged)
        weights = self._weights(side, slice(flows), judged.means_of_flows[family])
        power = (alike * np.log(np.maximum(alike, 1e-9)) - alike + 1.0) * due * weights
        size = 1.0 / self.streams.days[side, :flows]
        # A change that began at another time has another cause.
        together = np.abs(evidence.begun[best[:flows], rows[:flows]] - begun) <= self.settings.day_steps
        departing = (strongest[:flows] >= DEPARTING) & together
        for one in self._open:
            of_now = (
                self._number - one.since <= self.settings.week_steps
                or abs(begun - one.since) <= self.settings.day_steps
            )
            if one.side == side and of_now:
                departing[one.flows] = True
        # Counts nearer to those of the alarm than to the usual ones are a vote for it, before they are evidence alone.
        departing |= (power >= DEPARTING) & ((ratios - 1.0) * np.sign(ratio - 1.0) >= abs(ratio - 1.0) / 2.0)
        return Departures(strongest, alarms, seen - expected, size * np.log1p(power / size), departing)

    def _since_change(
        self, side: int, charge: Charge, strongest: Floats, best: Ints, judged: JudgedStep, week_step: int
    ) -> tuple[int, float, float, float]:
        """Return the step of the change, and the counts seen and expected since then, with their variance."""
        # A charged row speaks for itself if it has evidence too. Otherwise the row that was found gives the beginning.
        noticed = 2 * strongest[charge.row] >= strongest[charge.found_by]
        source = charge.row if noticed else charge.found_by
        where, evidence = (int(best[source]), source), self.streams.evidence
        begun = int(evidence.begun[where])
        if not noticed:
            told = [flow for one in self._open if one.side == side for flow in one.flows]
            family, flows, steps = SIDES[side].family, np.setdiff1d(charge.flows, told), self._number - begun + 1
            seen, expected = self.streams.since(family, flows, steps, week_step, judged)
            if expected > 0 and (seen > expected) == SIDES[side].up:
                return begun, seen, expected, expected / float(self._weights(side, [charge.row], expected)[0])
        return begun, float(evidence.seen[where]), float(evidence.expected[where]), float(evidence.variance[where])

    def _weights(self, side: int, rows: list[int] | slice, means: Floats | float) -> Floats:
        """Return the weights of some rows' counts: the more steps vary beyond chance, the less they weigh."""
        excess = np.maximum(self.streams.steps[side, rows] - self.streams.days[side, rows], 0.0)
        return np.asarray(1.0 / (1.0 + means * excess))

    def _judged_of(self, one: OpenFinding, of_flows: Floats) -> tuple[Floats, Floats]:
        """Return the counts and means of a finding's flows in a step, (2, f), and their weights, (f,).

        They are zero for flows that are judged by whole days: these add to the sums of the day.
        """
        weights = self._weights(one.side, one.flows, of_flows[1])
        if SIDES[one.side].family is not Family.VOLUME:
            return of_flows, weights
        daily = self.streams.daily_volumes()[one.flows]
        one.today += np.where(daily, of_flows, 0.0)
        return np.where(daily, 0.0, of_flows), weights

    def _begin(
        self,
        side: int,
        charge: Charge,
        sums: tuple[int, float, float, float],
        chance: float,
        step: StepCounts,
        replaced: list[OpenFinding],
    ) -> Finding:
        family = SIDES[side].family
        begun, seen, expected, variance = sums
        # A finding that more flows join keeps its beginning, which identifies it.
        since = min(
            [one.since for one in replaced if one.row == charge.row] or [begun, *(one.since for one in replaced)]
        )
        expected += sum(old.expected for old in replaced)
        steps = self._number - begun + 1
        base = 1.0 if family is Family.VOLUME else expected / max(self._usual(family, charge.flows, steps, step), 1e-9)
        one = OpenFinding(
            side=side,
            row=charge.row,
            flows=charge.flows.tolist(),
            since=since,
            since_time=self._time_of(since, step),
            found_at=min(
                [step.start + self.settings.step_seconds, *(old.found_at for old in replaced if old.row == charge.row)]
            ),
            seen=seen + sum(old.seen for old in replaced),
            expected=expected,
            variance=variance + sum(old.variance for old in replaced),
            day_variance=float(self.streams.days[side, charge.row]),
            chance=chance,
            base=base,
            measured=[0.0, 0.0],
            of_flows=np.zeros((2, len(charge.flows))),
            today=np.zeros((2, len(charge.flows))),
            day=self._day,
            made=self._number,
            back_since=self._number + 1,
        )
        if family is Family.SLOW:
            _add_durations(one, step, self.settings)
        for old in replaced:
            self._open.remove(old)
        self._open.append(one)
        self.streams.forget(family, one.flows, self._number)
        if family is Family.VOLUME:
            back = np.arange(min(self._number - since, self.settings.week_steps - 1))
            positions = (step.week_step - 1 - back) % self.settings.week_steps
            self.streams.expectation.leave_out(charge.flows, positions)
        return self._told(one, None)

    def _usual(self, family: Family, flows: Ints, steps: int, step: StepCounts) -> float:
        """Return the expected share of some flows' exchanges in the last steps, or their mean duration or size."""
        shares = self.streams.shares
        if family is Family.SLOW:
            total, number = mean_duration(shares.durations[flows].sum(axis=0), self.settings.duration_bounds)
            return total / max(number, 1.0)
        if family is Family.SIZE:
            return float(shares.size[0, flows].sum() / max(shares.size[1, flows].sum(), 1.0))
        earlier, _ = self.streams.earlier(steps, step.week_step)
        exchanges = np.where(shares.exchanges[family - 1] > 0, np.asarray(step.count, np.float64) + earlier, 0.0)[flows]
        return float(shares.usual()[family - 1, flows] @ exchanges) / max(float(exchanges.sum()), 1.0)

    @staticmethod
    def _base(one: OpenFinding, family: Family, means: Floats, step: StepCounts) -> Floats:
        """Return what a step adds to the base of a finding, (f,): exchanges to that of a share, nothing to that of a volume."""
        if family is Family.VOLUME:
            return np.zeros_like(means)
        if family in (Family.SLOW, Family.SIZE):
            return one.base * means / max(one.expected, 1e-9)
        return np.where(means > 0, np.asarray(step.count, np.float64)[one.flows], 0.0)


def _add_durations(one: OpenFinding, step: StepCounts, settings: DetectorSettings) -> None:
    if step.durations is not None:
        durations = np.asarray(step.durations[one.flows].sum(axis=0), np.float64)
        total, number = mean_duration(durations, settings.duration_bounds)
        one.measured = [one.measured[0] + total, one.measured[1] + number]
