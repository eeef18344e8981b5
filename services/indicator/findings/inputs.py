"""The inputs of the detector: the parties of flows, the counts of steps, and its settings (docs/method.md §12.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.indicator.array_types import Bools, Ints, Numbers

DAYS_A_WEEK: Final = 7

MOST_KINDS: Final = 8
"""The most kinds of days, ordinary ones (0) among them; official holidays, Nowruz and Ramadan need fewer."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The parties of f flows, (f,) each.

    ``flows`` are names that identify the flows, and the others are ids of parties that may fail at once. A flow is
    "bus client service" and a service is "bus service"; providers and consumers are agencies.
    """

    flows: tuple[str, ...]
    bus: tuple[str, ...]
    service: tuple[str, ...]
    provider: tuple[str, ...]
    consumer: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """How a detector judges.

    ``false_findings_per_week`` is the budget for everything that it watches. A week has ``week_steps`` steps of
    ``step_seconds`` (a simulated government may live faster), and a day is a seventh of it. ``duration_bounds`` are
    those of the buckets of durations, in milliseconds; the last bucket is open.
    """

    false_findings_per_week: float = 1.0
    step_seconds: int = 3_600
    week_steps: int = 168
    duration_bounds: tuple[float, ...] = tuple(2.0 ** (half / 2) for half in range(39))

    @property
    def day_steps(self) -> int:
        """The steps of a day."""
        return self.week_steps // DAYS_A_WEEK


@dataclass(frozen=True, slots=True, eq=False)
class StepCounts:
    """Exchanges of f flows in one step, (f,) each, which begins at ``start`` (epoch seconds).

    ``week_step`` is its place in the local week, below ``week_steps``, and ``kind`` that of its day, 0 for an ordinary one.
    With ``read`` False the logs of the step were not read, and its counts say nothing. ``left_out`` (f,) marks flows
    whose counts say nothing, as while a finding about them is confirmed.

    ``durations`` (f, b) counts the exchanges with a known duration, by buckets of rising bounds. ``size`` is in bytes.
    Both are None where they are known for no flow. ``size`` and ``repeats`` are NaN for single flows where they are
    unknown.
    """

    start: int
    week_step: int
    count: Numbers
    bus_failures: Numbers
    provider_failures: Numbers
    repeats: Numbers
    durations: Numbers | None = None
    size: Numbers | None = None
    kind: int = 0
    read: bool = True
    left_out: Bools | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FlowCounts:
    """The same of h consecutive steps: (f, h) each, ``durations`` (f, h, b), ``week_step``, ``kind`` and ``read`` (h,)."""

    start: int
    week_step: Ints
    kind: Ints
    read: Bools
    count: Numbers
    bus_failures: Numbers
    provider_failures: Numbers
    repeats: Numbers
    durations: Numbers | None = None
    size: Numbers | None = None
    left_out: Bools | None = None

    def steps(self, step_seconds: int) -> Iterator[StepCounts]:
        """Yield the counts step by step."""
        for step in range(self.count.shape[1]):
            yield StepCounts(
                start=self.start + step * step_seconds,
                week_step=int(self.week_step[step]),
                count=self.count[:, step],
                bus_failures=self.bus_failures[:, step],
                provider_failures=self.provider_failures[:, step],
                repeats=self.repeats[:, step],
                durations=None if self.durations is None else self.durations[:, step],
                size=None if self.size is None else self.size[:, step],
                kind=min(int(self.kind[step]), MOST_KINDS - 1),
                read=bool(self.read[step]),
                left_out=None if self.left_out is None else self.left_out[:, step],
            )
