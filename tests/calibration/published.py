"""A life that is judged as published figures are: from verdicts of targets to the indicators of every set."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from services.core.model.indicator import IndicatorKind
from services.core.model.register import ALWAYS, Agency, Endpoint, Link, Policy, Register, Service
from services.core.model.register import Government as Name
from services.indicator.calendar import Calendar
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index.index import compute_indicators
from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts.causes import CauseSums
from services.indicator.verdicts.closed_day import DayCounter, run_to_end
from services.indicator.verdicts.counts import DayCounts, WindowCounts
from services.indicator.verdicts.day_evidence import DayEvidence
from services.indicator.verdicts.judge import Judge
from tests.calibration.government import KINDS, Government
from tests.calibration.scenarios import WINDOWS, Scenario
from tests.calibration.simulate import RECORD_DAYS, verdicts

BEGIN = date(2026, 1, 1)
BUS = "bus"

Floats = NDArray[np.float64]


class Published:
    """Indicators of one life of a government, with the register that ``arrays_of`` makes of it."""

    def __init__(
        self, scenario: Scenario, government: Government, arrays: RegisterArrays, rng: np.random.Generator
    ) -> None:
        links, bus = verdicts(scenario, government, RECORD_DAYS, rng)
        self._snapshot = compute_indicators(lived(arrays, np.vstack([links, bus]), scenario.slot_seconds, WINDOWS))

    def intervals(self, days: int) -> dict[str, tuple[Floats, ...]]:
        """Return point, low and high of every set by kind, over the last ``days``, NaN where none is published."""
        columns = {kind: self._snapshot.columns[IndicatorKind[kind.upper()], days] for kind in KINDS}
        return {kind: (one.point, one.interval_low, one.interval_high) for kind, one in columns.items()}


def arrays_of(government: Government, scenario: Scenario) -> RegisterArrays:
    """Return the register of a government, in the order of its links and sets."""
    sets = government.sets
    agencies = [f"agency-{at:04d}" for at in range(government.agencies)]
    services = [f"service-{at:04d}" for at in range(sets["service"].size)]
    consumer, sector = np.zeros(len(services), np.int64), np.zeros(len(agencies), np.int64)
    consumer[sets["service"].group] = sets["consumer"].group
    sector[sets["consumer"].group] = sets["sector"].group
    value = np.bincount(sets["service"].group, government.weight)
    links = [
        Link(
            id=f"link-{at:05d}",
            service=services[sets["service"].group[at]],
            provider=agencies[provider],
            data_item="",
            live_from=ALWAYS if government.live[at] else None,
            weight=float(government.weight[at]),
        )
        for at, provider in enumerate(government.provider.tolist())
    ]
    register = Register(
        agencies={one: Agency(one, one, one, f"sector-{sector[at]:02d}") for at, one in enumerate(agencies)},
        services={
            one: Service(one, agencies[consumer[at]], one, one, weight=float(value[at]))
            for at, one in enumerate(services)
        },
        links={link.id: link for link in links},
        endpoints={BUS: Endpoint(BUS, agencies[0], None, "", "")},
        probes={},
        policy=Policy(
            government=Name("gov", "", ""),
            timezone="UTC",
            epoch=datetime.combine(BEGIN, datetime.min.time(), UTC),
            slot_seconds=scenario.slot_seconds,
            bus=BUS,
        ),
        register_version="",
        probe_version="",
    )
    return RegisterArrays.of(register)


def lived(
    arrays: RegisterArrays, of_targets: NDArray[np.int8], slot_seconds: int, windows: Sequence[int]
) -> FrozenEvidence:
    """Count verdicts of a register's targets (targets, slots) day by day, as closed days are."""
    judge, slots = Judge(arrays, np.arange(len(arrays.targets))), 86400 // slot_seconds
    calendar = Calendar("UTC", datetime.combine(BEGIN, datetime.min.time(), UTC).timestamp(), slot_seconds)
    counted = [
        (day, *_count(judge, day, of_day, slot_seconds))
        for day, of_day in enumerate(np.split(of_targets, RECORD_DAYS, axis=1), BEGIN.toordinal())
    ]

    def window(days: int) -> WindowCounts:
        counts = WindowCounts.zero(arrays)
        for day, tally, _ in counted[-days:]:
            counts.add_day(judge, day, slots, tally)
        return counts.copy()

    return FrozenEvidence(
        calendar=calendar,
        arrays=arrays,
        end_slot=calendar.first_slot(BEGIN + timedelta(days=RECORD_DAYS)),
        windows={days: window(days) for days in windows},
        past=[
            DayEvidence(day, slots, tally.counts[:, : len(arrays.links)], judge.requirements(day).live, causes)
            for day, tally, causes in counted
        ],
    )


def _count(judge: Judge, day: int, of_day: NDArray[np.int8], slot_seconds: int) -> tuple[DayCounts, CauseSums]:
    counting = DayCounter(judge, day, of_day.shape[1], slot_seconds)
    heard = np.flatnonzero(of_day[:, 0] >= 0)
    counting.add(heard, of_day[heard])
    return run_to_end(counting.finish())
