"""The intervals of docs/method.md are computed from its outages to the last digit."""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray

from services.core.model.indicator import IndicatorKind
from services.core.model.measurement import MeasurementColumns, Target
from services.core.model.outcome import OUTCOME_OF, Reason
from services.core.model.register import ALWAYS, Agency, Endpoint, Government, Link, Policy, Register, Service, Vantage
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index.index import compute_indicators
from services.indicator.intervals.history import HistorySums
from services.indicator.intervals.intervals import Intervals, OutageHistory
from services.indicator.intervals.loss_bounds import bound_loss
from services.indicator.intervals.outages import OutageTotals
from services.indicator.intervals.recipe import bound_bus, bound_sets, cause_moments, estimate_lengths, pool_causes
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares
from tests.support.paths import ROOT

FIRST, SLOT, DAYS, SLOTS = 1_772_323_200, 300, 28, 288
LINKS = {"tax-identity": "civil-registry", "tax-titles": "land-registry"}
ON_THE_BUS = "tax-identity"
PAGE = (ROOT / "docs/method.md").read_text("utf-8")
(CHECKS,) = re.findall(r"^### 9.2 Intervals\n(.*?)^##", PAGE, re.DOTALL | re.MULTILINE)


def said(pattern: str) -> list[str]:
    """Return the groups of the only match in the page, wherever its lines break."""
    (found,) = re.finditer(pattern.replace(" ", r"\s+"), CHECKS)
    return list(found.groups())


def alone(*sums: float) -> OutageTotals:
    """Return the sums K, S, N and Q of one cause."""
    return OutageTotals(*(np.array([float(value)]) for value in sums))


@dataclass(frozen=True)
class Example:
    """The example's window: its outages, its intervals, and the service's interval."""

    outages: OutageTotals
    intervals: Intervals
    agencies: tuple[str, ...]
    interval: tuple[float, float, float]

    @classmethod
    def of(cls, failing: NDArray[np.bool_]) -> Self:
        """Measure both links and the bus, which fail in these slots (3, slots)."""
        register = Register(
            agencies={name: Agency(name, name, name, "all") for name in ("tax-office", "bus-office", *LINKS.values())},
            services={"tax": Service("tax", "tax-office", "tax", "tax")},
            links={
                name: Link(id=name, service="tax", provider=provider, data_item=name, live_from=ALWAYS)
                for name, provider in LINKS.items()
            },
            endpoints={"bus": Endpoint("bus", "bus-office", None, "", "")},
            probes={},
            policy=Policy(
                government=Government("government", "", ""),
                timezone="UTC",
                epoch=datetime.fromtimestamp(FIRST, UTC),
                slot_seconds=SLOT,
                vantages=(Vantage("main"),),
                bus="bus",
            ),
        )
        target, slot = np.divmod(np.arange(failing.size), failing.shape[1])
        start = FIRST + slot * SLOT
        evidence = Evidence(Calendar.of(register.policy))
        evidence.take(
            MeasurementColumns(
                vantage="main",
                targets=(*map(Target, LINKS), Target("bus", endpoint=True)),
                target=target,
                slot_start=start,
                time=start * 1_000_000,
                outcome=np.where(failing.ravel(), OUTCOME_OF[Reason.LATE], OUTCOME_OF[Reason.OK]).astype(np.uint8),
                reason=np.where(failing.ravel(), Reason.LATE, Reason.OK).astype(np.uint8),
            )
        )
        arrays, end = RegisterArrays.of(register), FIRST // SLOT + failing.shape[1]
        counted = FrozenEvidence.of(arrays, evidence, end, [DAYS])
        past, counts = OutageHistory(HistorySums(), counted), counted.windows[DAYS]
        intervals = Intervals.of(past, LinkShares.of(arrays, counts.slots, counts.counts, counts.paper), DAYS)
        one = compute_indicators(counted).indicator(IndicatorKind.SERVICE, "tax", DAYS)
        assert intervals is not None
        assert one is not None
        assert one.point is not None
        assert one.interval is not None
        return cls(past.outages(DAYS), intervals, arrays.agencies, (one.interval.low, one.interval.high, one.point))


@pytest.fixture(scope="module")
def example() -> Example:
    """The example computed from the outages that the page shows."""
    (block,) = re.findall(r"```\n(.*?)```", CHECKS, re.DOTALL)
    fails = {name: np.zeros(DAYS * SLOTS, dtype=np.bool_) for name in (*LINKS.values(), "bus")}
    for line in block.splitlines():
        for day, hour, hours in re.findall(r"day (\d+) (\d+):00 (\d+) h", line):
            first = (int(day) - 1) * SLOTS + int(hour) * 12
            fails[line.split()[0]][first : first + int(hours) * 12] = True
    rows = [fails[provider] | (fails["bus"] & (link == ON_THE_BUS)) for link, provider in LINKS.items()]
    return Example.of(np.array([*rows, fails["bus"]]))


def test_one_cause_alone() -> None:
    """Every row of sums has the bounds of the page, to six places."""
    known = float(said(r"window and record the same (\d+) hours")[0])
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| (\S+) \| (\S+) \|$", CHECKS, re.MULTILINE)
    assert len(rows) == 4
    for *sums, low, high in rows:
        cause = alone(known, *map(float, sums))
        found = bound_sets(cause_moments(cause, estimate_lengths(cause, pool_causes(cause))))
        assert (f"{found.low[0]:.6f}", f"{found.high[0]:.6f}") == (low, high), sums


def test_a_bus_never_down() -> None:
    """A bus that was never seen down has the upper bound of the page."""
    window, record, high = said(r"in a window of (\d+) hours and a record of (\S+) has y_B⁺ = (\S+)\.")
    found = bound_bus(alone(float(window), 0, 0, 0), alone(float(record.replace(",", "")), 0, 0, 0))
    assert f"{found.high[0]:.6f}" == high


def test_causes_of_the_example(example: Example) -> None:
    """Sums, lengths and spreads of the four causes, and the pool of the providers, are those of the page."""
    providers = slice(1, 1 + len(example.agencies))
    of = pool_causes(example.outages.part(providers))
    assert said(r"m₀ = (\S+), M₀ = (\S+) and θ = (\S+),") == [f"{of.mean:.3f}", f"{of.square:.2f}", f"{of.shape:.3f}"]
    estimates, causes = example.intervals.history.estimates(90), example.intervals.causes
    places = {name: (estimates.providers, causes.providers, example.agencies.index(name), 1) for name in LINKS.values()}
    places |= {name: (estimates.own, causes.own, at, providers.stop) for at, name in enumerate(sorted(LINKS))}
    rows = re.findall(r"^\| (\S+-\S+) \|(.*)\|$", CHECKS, re.MULTILINE)
    assert [name for name, _ in rows] == list(places)
    for name, cells in rows:
        length, shown, at, first = places[name]
        sums = [one[first + at] for one in astuple(example.outages)]
        numbers = [f"{one:.0f}" for one in sums]
        numbers += [f"{length.mean[at]:.3f}", f"{length.square[at]:.2f}", f"{100 * shown.loss[at]:.3f}"]
        numbers += [
            f"{1e6 * shown.variance[at]:.1f}",
            f"{100 * shown.more[at]:.3f}",
            f"{1e6 * shown.more_square[at]:.1f}",
        ]
        assert [cell.strip() for cell in cells.split("|")] == numbers, name


def test_the_service_of_the_example(example: Example) -> None:
    """The causes and the guard, the bounds of the service and the bus, and the interval are those of the page."""
    intervals = example.intervals
    guard, bus = intervals.guards[IndicatorKind.SERVICE], intervals.causes.bus
    loss = float(intervals.loss.mean())
    both = np.concatenate(
        [(one.variance, one.more, one.more_square) for one in (intervals.causes.providers, intervals.causes.own)], 1
    )
    by_causes = np.array([0.25 * both[0].sum(), 0.5 * both[1].max(), 0.25 * both[2].max()])
    by_guard = np.array([guard.variance[0], guard.more[0], guard.more_square[0]])
    found = bound_loss(np.array([loss]), *np.maximum(by_causes, by_guard)[:, np.newaxis])
    exposure = intervals.charged.mean() / bus.loss[0]

    def shown(percent: float) -> str:
        return f"{100 * percent:.3f}"

    assert said(r"y = (\S+) %") == [shown(loss)]
    for name, (variance, more, square) in (("causes", by_causes), ("the guard", by_guard)):
        numbers = [f"{1e6 * variance:.1f}", shown(more), f"{1e6 * square:.1f}"]
        assert said(rf"by {name} \| σ² = (\S+), a = (\S+) %, b = (\S+) \|") == numbers
    assert said(r"y⁻ = (\S+) %, y⁺ = (\S+) %") == [shown(found.low[0]), shown(found.high[0])]
    of_bus = [*(shown(one[0]) for one in (bus.loss, bus.low, bus.high)), f"{exposure:.3f}"]
    assert said(r"y_B = (\S+) %, y_B⁻ = (\S+) %, y_B⁺ = (\S+) %, η = (\S+) \|") == of_bus
    assert said(r"(\S+) to (\S+), around (\S+) \|") == [f"{one:.4f}" for one in example.interval]
