"""Computes the index of a link or endpoint at the end of each of many days, from days that were counted one by one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from services.core.model import Indicator, IndicatorKind, Losses, Stage
from services.indicator.array_types import Counts
from services.indicator.calendar import Calendar
from services.indicator.cells import MeasuredDay, SlotCells, join_parts
from services.indicator.index.published import published_points
from services.indicator.method_version import METHOD_VERSION
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import upper_bound
from services.indicator.sums import ratio
from services.indicator.verdicts import Judge, counter_type

_STAGES = len(Stage)


class TargetHistory:
    """Days judged by one register: how many slots of each target reached which stage, 12 bytes a target and day."""

    def __init__(self, arrays: RegisterArrays, calendar: Calendar) -> None:
        self.arrays, self.calendar = arrays, calendar
        self._cells = SlotCells(arrays.targets)
        self._judge = Judge(arrays, self._cells.columns.of(arrays.targets))
        self._tallies: dict[date, Counts] = {}

    def __contains__(self, day: date) -> bool:
        return day in self._tallies

    def put(self, parts: Sequence[MeasuredDay]) -> None:
        """Count a day that was measured in parts of different targets or vantages."""
        verdicts = self._judge.verdict(join_parts(parts, self._cells), self._cells.vantages)[self._judge.columns]
        reached = [np.count_nonzero(verdicts == stage, axis=1) for stage in range(_STAGES)]
        self._tallies[parts[0].day] = np.array(reached, counter_type(verdicts.shape[1]))

    def indexes(self, kind: IndicatorKind, entity: str, window_days: int, ends: Mapping[date, int]) -> list[Indicator]:
        """Return the index over the whole days of a window that ends with each day of ``ends``, in order of time.

        ``ends`` has, for each day, the last message of the stream that its index counts. Days that were not put are
        unknown, and nothing is imputed. The point is unset where nothing is known of the time in which a link was live,
        or less than the policy's threshold. Days on which a link is not in force are left out, and so is an index of
        such days alone.
        """
        if not ends:
            return []
        first, last = min(ends) - timedelta(days=window_days - 1), max(ends)
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        chosen = np.array([(day - first).days for day in sorted(ends)])
        in_force, on_paper, reached = (
            _sums(values, chosen, window_days) for values in self._counted(kind, entity, days)
        )
        known = reached.sum(axis=0)
        lower, known_share = ratio(reached[Stage.OK], in_force, otherwise=0.0), ratio(known, in_force, otherwise=0.0)
        upper = upper_bound(lower, known_share)
        told = (known > on_paper) | ((known > 0) & (on_paper == in_force))
        reached[0] -= on_paper
        connected = ratio(in_force - on_paper, in_force, otherwise=0.0)
        shares = connected * ratio(reached, (known - on_paper)[np.newaxis], otherwise=0.0)
        shares[0] += ratio(on_paper, in_force, otherwise=0.0)
        estimate = np.where(told, np.clip(shares[Stage.OK], lower, upper), np.nan)
        point = published_points(self.arrays, estimate, known_share)
        return [
            Indicator(
                kind=kind,
                id=entity,
                window_days=window_days,
                as_of=self.calendar.start_of(self.calendar.slots_of(day).stop),
                point=None if np.isnan(point[row]) else float(point[row]),
                lower=float(lower[row]),
                upper=float(upper[row]),
                known_share=float(known_share[row]),
                losses=Losses(*shares[: Stage.OK, row].tolist()) if told[row] else Losses(),
                links_required=int(kind is IndicatorKind.LINK),
                links_known=int(kind is IndicatorKind.LINK and known[row] > 0),
                register_version=self.arrays.register_version,
                probe_version=self.arrays.probe_version,
                method_version=METHOD_VERSION,
                evidence_sequence=ends[day],
            )
            for row, day in enumerate(sorted(ends))
            if in_force[row]
        ]

    def _counted(
        self, kind: IndicatorKind, entity: str, days: Sequence[date]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the slots (d,) in force of each day, those of them on paper (d,), and those known by stage (6, d)."""
        arrays, required = self.arrays, self.arrays.required
        is_link = kind is IndicatorKind.LINK
        row = bisect_left(arrays.links if is_link else arrays.endpoints, entity)
        column = row if is_link else len(arrays.links) + row
        slots, paper, counts = (np.zeros((*shape, len(days)), np.int64) for shape in ((), (), (_STAGES,)))
        for place, day in enumerate(days):
            number = day.toordinal()
            if is_link and not required.start[row] <= number < required.stop[row]:
                continue
            of_day = self.calendar.slots_of(day)
            slots[place] = max(0, of_day.stop - max(of_day.start, self.calendar.epoch_slot))
            if is_link and number < required.live_from[row]:
                paper[place] = counts[0, place] = slots[place]
            elif day in self._tallies and slots[place]:
                counts[:, place] = self._tallies[day][:, column]
        return slots, paper, counts


def _sums(values: NDArray[np.int64], last: NDArray[np.int64], days: int) -> NDArray[np.int64]:
    """Return sums over the last axis, each of ``days`` values up to a position in ``last``."""
    before = np.concatenate([np.zeros((*values.shape[:-1], 1), np.int64), np.cumsum(values, axis=-1)], axis=-1)
    return np.asarray(before[..., last + 1] - before[..., last + 1 - days])
