"""Try our detector and three simple ones on made-up traffic, with and without faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.model import Finding, FindingKind
from services.indicator.findings import Detector, DetectorSettings, FindingChanges, FlowCounts, Topology
from tests.calibration.traffic.scenarios import (
    CAUSES,
    FAULTS,
    SCENARIOS,
    SEED,
    TRAINING_WEEKS,
    WHOLE,
    Extent,
    FaultKind,
    Scenario,
)
from tests.calibration.traffic.simple import SIMPLE
from tests.calibration.traffic.simulate import BUCKETS, WEEK, Effects, Government, Parts, Week

__all__ = [
    "Quiet",
    "TriedCause",
    "TriedFault",
    "quiet_life",
    "settings",
    "topology_of",
    "tried_causes",
    "tried_faults",
    "week_counts",
]

HOUR = 3600
FAULT_WEEKS = 8
"""Weeks from that in which faults begin to the end."""

_ISLAND = Parts(buses=1, providers=2, services=3, consumers=4)
"""A small government for each fault of a flow, so that faults do not meet."""

_CAUSE_ISLAND = Parts(buses=1, providers=4, services=10, consumers=8)

KINDS = {
    "volume": {FindingKind.SILENCE, FindingKind.FALL},
    "bus": {FindingKind.BUS_FAILURES},
    "provider": {FindingKind.PROVIDER_FAILURES},
    "slow": {FindingKind.SLOW},
    "repeats": {FindingKind.REPEATS},
}
_CAUSE_FAULTS = (FAULTS[0], FAULTS[2], FAULTS[7])


@dataclass(frozen=True)
class Quiet:
    """The findings of a life without faults: by week and detector, ours first, and ours by kind."""

    scenario: str
    flows: int
    weekly: dict[str, list[int]]
    by_kind: Counter[str]


@dataclass(frozen=True)
class TriedFault:
    """A fault of a flow, and when each detector found it.

    ``passed`` is the expected exchanges from the fault to the step before the one in which it was found, ``could``
    those until the end, and ``hours`` the delay. None where it was not found. ``off`` is the distance of the change
    point in steps, ``findings`` the number of our findings in its island.
    """

    fault: FaultKind
    could: float
    passed: dict[str, float | None]
    hours: dict[str, float | None]
    off: float | None
    findings: int


@dataclass(frozen=True)
class TriedCause:
    """A fault of all flows of a cause: the number of findings at first and in the end, and the scope charged first."""

    cause: str
    fault: str
    at_first: int
    in_the_end: int
    scopes: tuple[str, ...] = field(default=())


def settings() -> DetectorSettings:
    """Return the default budget, and the buckets of simulated durations."""
    return DetectorSettings(duration_bounds=tuple(2.0**bucket for bucket in range(BUCKETS - 1)))


def topology_of(government: Government) -> Topology:
    """Return the parties of a government by name."""
    buses, services = (
        [f"{letter}{one}" for one in of.tolist()] for letter, of in (("b", government.bus), ("s", government.service))
    )
    providers, consumers = (
        [f"{letter}{one}" for one in of.tolist()]
        for letter, of in (("p", government.provider), ("c", government.consumer))
    )
    flows = [f"{bus} {consumer} {service}" for bus, consumer, service in zip(buses, consumers, services, strict=True)]
    return Topology(tuple(flows), tuple(buses), tuple(services), tuple(providers), tuple(consumers))


def week_counts(week: Week, number: int) -> FlowCounts:
    """Return a week in the form that the detector reads."""
    return FlowCounts(
        number * WEEK * HOUR,
        np.arange(WEEK),
        week.kind,
        week.read,
        week.count,
        week.bus,
        week.provider,
        week.repeats,
        week.durations,
        week.size,
    )


def _weeks(government: Government, effects: dict[int, Effects]) -> Iterator[tuple[int, Week]]:
    return ((number, government.draw(number, effects.get(number))) for number in range(government.weeks))


def quiet_life(scenario: str, life: int, extent: Extent = WHOLE) -> Quiet:
    """Simulate a life of a scenario, and count the findings of its judged weeks."""
    government = Government(_scenario(scenario), life, TRAINING_WEEKS + extent.weeks, Parts(flows=extent.flows))
    detector = Detector(topology_of(government), settings())
    simple = {name: one() for name, one in SIMPLE.items()}
    last = {name: np.full(len(government.rate), -1000) for name in SIMPLE}
    weekly: dict[str, list[int]] = {name: [] for name in ("ours", *SIMPLE)}
    by_kind: Counter[str] = Counter()
    for number, week in _weeks(government, {}):
        changes = [detector.advance(step) for step in week_counts(week, number).steps(HOUR)]
        opened = [finding for change in changes for finding in change.opened]
        episodes = {
            name: _episodes(one.judge(week.count), last[name], number, week.read) for name, one in simple.items()
        }
        if number >= TRAINING_WEEKS:
            weekly["ours"].append(len(opened))
            by_kind.update(finding.kind.value for finding in opened)
            for name, count in episodes.items():
                weekly[name].append(count)
    return Quiet(scenario, len(government.rate), weekly, by_kind)


def _episodes(alarms: NDArray[np.int8], last: NDArray[Any], number: int, read: NDArray[np.bool_]) -> int:
    """Count alarms. Those of a flow less than a day apart count once, and unread hours do not count."""
    count = 0
    for hour in np.flatnonzero(read).tolist():
        now = number * WEEK + hour
        high = alarms[:, hour] != 0
        count += int((high & (now - last > 24)).sum())
        last[high] = now
    return count


def tried_faults(scenario: str, life: int, extent: Extent = WHOLE) -> list[TriedFault]:
    """Put a fault into one flow of each island, and return when it is found."""
    weeks = TRAINING_WEEKS + FAULT_WEEKS
    parts = replace(_ISLAND, flows=8 * extent.islands, islands=extent.islands)
    government = Government(_scenario(scenario), 1000 + life, weeks, parts)
    rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(7, life)))
    islands = np.arange(extent.islands)
    flows = np.array([rng.choice(np.flatnonzero(government.island == island)) for island in islands])
    begins = TRAINING_WEEKS * WEEK + rng.integers(0, WEEK, len(islands))
    faults = [FAULTS[(island + life) % len(FAULTS)] for island in islands.tolist()]
    effects = {
        number: _effects(government, number, list(zip(flows[:, None], begins, faults, strict=True)))
        for number in range(TRAINING_WEEKS, weeks)
    }
    expected, changes, simple = _run(government, effects)
    topology = topology_of(government)
    return [
        _tried(fault, int(flow), int(begin), topology.flows[flow], island, expected, changes, simple)
        for fault, flow, begin, island in zip(faults, flows, begins, islands.tolist(), strict=True)
    ]


def _run(
    government: Government, effects: dict[int, Effects]
) -> tuple[NDArray[np.float64], list[FindingChanges], dict[str, NDArray[np.int8]]]:
    detector = Detector(topology_of(government), settings())
    simple = {name: one() for name, one in SIMPLE.items()}
    expected, changes = [], []
    alarms: dict[str, list[NDArray[np.int8]]] = {name: [] for name in simple}
    for number, week in _weeks(government, effects):
        changes += [detector.advance(step) for step in week_counts(week, number).steps(HOUR)]
        expected.append(week.expected * week.read)
        for name, one in simple.items():
            alarms[name].append(one.judge(week.count) * week.read.astype(np.int8))
    return np.hstack(expected), changes, {name: np.hstack(parts) for name, parts in alarms.items()}


def _tried(
    fault: FaultKind,
    flow: int,
    begin: int,
    name: str,
    island: int,
    expected: NDArray[np.float64],
    changes: list[FindingChanges],
    simple: dict[str, NDArray[np.int8]],
) -> TriedFault:
    since = np.concatenate([[0.0], np.cumsum(expected[flow, begin:])])
    opened = [(hour, finding) for hour in range(begin, len(changes)) for finding in changes[hour].opened]
    ours = [
        (hour, finding) for hour, finding in opened if name in finding.flows and finding.kind in KINDS[fault.family]
    ]
    here = [finding for _, finding in opened if _island(finding) == island]
    first = {"ours": ours[0][0] if ours else None}
    if fault.family == "volume":
        for other, alarms in simple.items():
            low = np.flatnonzero(alarms[flow, begin:] < 0)
            first[other] = begin + int(low[0]) if len(low) else None
    late = {other: SIMPLE[other]().late for other in simple}
    return TriedFault(
        fault,
        could=float(since[-1]),
        passed={who: None if hour is None else float(since[hour - begin]) for who, hour in first.items()},
        hours={who: None if hour is None else hour - begin + 1 + late.get(who, 0) for who, hour in first.items()},
        off=ours[0][1].since / HOUR - begin if ours else None,
        findings=len(here),
    )


def _island(finding: Finding) -> int:
    """Return the island of a finding. Each has one bus, with the number of the island."""
    return int(finding.flows[0].split()[0].removeprefix("b"))


def tried_causes(scenario: str, life: int, extent: Extent = WHOLE) -> list[TriedCause]:
    """Let all flows of a service, provider, consumer or bus fail at once, one cause an island, and count findings."""
    weeks = TRAINING_WEEKS + 3
    parts = replace(_CAUSE_ISLAND, flows=40 * extent.cause_islands, islands=extent.cause_islands)
    government = Government(_scenario(scenario), 2000 + life, weeks, parts)
    rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(8, life)))
    faults: list[tuple[NDArray[np.int64], int, FaultKind]] = []
    causes: list[tuple[str, FaultKind, int]] = []
    for island in range(extent.cause_islands):
        cause = CAUSES[(island + life) % len(CAUSES)]
        fault = _CAUSE_FAULTS[(island // len(CAUSES) + life) % len(_CAUSE_FAULTS)]
        inside = np.flatnonzero(government.island == island)
        of = getattr(government, cause)[inside]
        names, sizes = np.unique(of, return_counts=True)
        chosen = rng.choice(names[sizes >= 3])
        begin = TRAINING_WEEKS * WEEK + int(rng.integers(0, WEEK))
        faults.append((inside[of == chosen], begin, fault))
        causes.append((cause, fault, begin))
    effects = {number: _effects(government, number, faults) for number in range(TRAINING_WEEKS, weeks)}
    _, changes, _ = _run(government, effects)
    tried = []
    for island, (cause, fault, begin) in enumerate(causes):
        opened = [
            finding
            for change in changes[begin:]
            for finding in change.opened
            if _island(finding) == island and finding.kind in KINDS[fault.family]
        ]
        withdrawn = {one for change in changes[begin:] for one in change.withdrawn}
        kept = [finding for finding in opened if finding.id not in withdrawn]
        tried.append(
            TriedCause(cause, fault.name, len(opened), len(kept), tuple(finding.scope.value for finding in kept[:1]))
        )
    return tried


def _effects(government: Government, number: int, faults: list[tuple[NDArray[np.int64], int, FaultKind]]) -> Effects:
    effects = Effects.none(len(government.rate))
    for flows, begin, fault in faults:
        first = max(0, int(begin) - number * WEEK)
        if first < WEEK:
            where = np.ix_(np.atleast_1d(flows), np.arange(first, WEEK))
            effects.left[where] = fault.left
            effects.bus[where] = fault.bus
            effects.provider[where] = fault.provider
            effects.repeats[where] = fault.repeats
            effects.slow[where] = fault.slow
    return effects


def _scenario(name: str) -> Scenario:
    return next(one for one in SCENARIOS if one.name == name)
