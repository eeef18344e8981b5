"""Count the measurements that the bus kept."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import quantiles

from services.core import codec
from services.core.model import Measurement, Reason
from services.prober.scheduling.schedule import ScheduleEntry
from tests.support.paths import ROOT
from tests.support.system import System

__all__ = ["Dumped", "dumped", "percentile"]


@dataclass(slots=True)
class Dumped:
    """Counts of measurements by reason, and of the ``slots`` slots in which each target was OK (``good``).

    ``latencies`` are those of OK measurements, in seconds. ``since_due`` counts from the planned start of the probe
    to the end of its answer. ``samples`` has a detail for every other reason. ``slot`` and ``timeout`` are seconds.
    """

    slots: int
    slot: int
    timeout: float
    reasons: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    since_due: list[float] = field(default_factory=list)
    good: Counter[str] = field(default_factory=Counter)
    samples: dict[str, str] = field(default_factory=dict)

    def take(self, row: Measurement) -> None:
        """Count one measurement."""
        reason = row.reason.name.lower()
        self.reasons[reason] += 1
        if row.reason is Reason.OK:
            assert row.latency is not None
            assert row.time is not None
            self.latencies.append(row.latency)
            entry = ScheduleEntry(row.target, self.timeout)
            due = row.slot_start + entry.phase * entry.last_offset(self.slot)
            # Some launches that share a wake-up begin a moment before their own phase.
            self.since_due.append(max(0.0, row.time - due) + sum(part or 0.0 for part in row.phases))
            self.good[row.target.id] += 1
        elif reason not in self.samples:
            self.samples[reason] = f"{row.target.id}: {row.detail}"


def percentile(seconds: Sequence[float], percent: int) -> float:
    """Return the latency that so many percent do not exceed."""
    return quantiles(seconds, n=100, method="inclusive")[percent - 1]


def dumped(system: System, first: int, last: int, slot: int, timeout: float) -> Dumped:
    """Count the measurements of all slots from ``first`` up to ``last``, exclusive (epoch seconds).

    Slots last ``slot`` seconds, and probes have ``timeout`` seconds.
    """
    bounds = [f"{dt.datetime.fromtimestamp(moment, dt.UTC):%Y-%m-%dT%H:%M:%S+00:00}" for moment in (first, last)]
    command = [sys.executable, "-m", "services.cli", "dump", "measurements", "--from", bounds[0], "--to", bounds[1]]
    where = ["--nats", system.nats, "--credentials", str(system.credentials)]
    counted = Dumped((last - first) // slot, slot, timeout)
    with subprocess.Popen([*command, *where], cwd=ROOT, stdout=subprocess.PIPE) as dump:
        assert dump.stdout is not None
        for line in dump.stdout:
            counted.take(codec.measurement_from_json(line.decode()))
    assert dump.returncode == 0, "peyvand dump failed"
    return counted
