"""Measurements as the bus kept them, counted."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from statistics import quantiles

from tests.support.paths import ROOT
from tests.support.system import System

__all__ = ["Dumped", "dumped"]


@dataclass(slots=True)
class Dumped:
    """How many measurements there are by reason, the latencies of those that are OK in seconds, and in how many of
    ``slots`` slots each target was OK. ``samples`` has details of some that are neither OK nor SHED.
    """

    slots: int
    reasons: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    good: Counter[str] = field(default_factory=Counter)
    samples: dict[str, str] = field(default_factory=dict)

    def take(self, row: dict[str, str]) -> None:
        """Count one measurement."""
        reason = row["reason"].removeprefix("REASON_").lower()
        self.reasons[reason] += 1
        if reason == "ok":
            self.latencies.append(float(row["latency"].removesuffix("s")))
            self.good[row["link"]] += 1
        elif reason not in self.samples:
            self.samples[reason] = f"{row['link']}: {row.get('detail', '')}"

    def latency(self, percent: int) -> float:
        """The latency, in seconds, that so many percent of the OK measurements do not exceed."""
        return quantiles(self.latencies, n=100, method="inclusive")[percent - 1]


def dumped(system: System, first: int, last: int, slot: int) -> Dumped:
    """Count the measurements of all slots of ``slot`` seconds from ``first`` up to ``last``, exclusive (epoch seconds)."""
    bounds = [f"{dt.datetime.fromtimestamp(moment, dt.UTC):%Y-%m-%dT%H:%M:%S+00:00}" for moment in (first, last)]
    command = [sys.executable, "-m", "services.cli", "dump", "measurements", "--from", bounds[0], "--to", bounds[1]]
    where = ["--nats", system.nats, "--credentials", str(system.credentials)]
    counted = Dumped((last - first) // slot)
    with subprocess.Popen([*command, *where], cwd=ROOT, stdout=subprocess.PIPE) as dump:
        assert dump.stdout is not None
        for line in dump.stdout:
            counted.take(json.loads(line))
    assert dump.returncode == 0, "peyvand dump failed"
    return counted
