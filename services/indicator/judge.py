"""Slots judged under one register version: verdicts of links, joint verdicts of services (INDICATOR.md §2-4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.evidence import Target
from services.core.outcome import Stage
from services.indicator.cells import verdict
from services.indicator.frame import Frame

__all__ = ["DayForce", "Judge", "Judged"]

# Days are asked for a window at a time; a process that runs for years must not keep them all.
KEPT_DAYS = 400

_DOWN, _UP = np.uint8(0), np.uint8(2)  # and 1 unknown


@dataclass(frozen=True, slots=True)
class DayForce:
    """What is in force on one day. Dates are midnights, so a day is in force whole or not at all.

    Links (n,): ``in_force``, and ``live``, in force and live. Services (s,): ``service_in_force`` with any link in
    force, ``service_live`` with any live, ``service_paper`` with any that is in force and not live: down all day.
    """

    in_force: NDArray[np.bool_]
    live: NDArray[np.bool_]
    service_in_force: NDArray[np.bool_]
    service_live: NDArray[np.bool_]
    service_paper: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judged:
    """One slot judged: ``verdict`` per column (-1 = unknown), ``up`` and ``down`` per service over its live links."""

    verdict: NDArray[np.int8]
    up: NDArray[np.bool_]
    down: NDArray[np.bool_]


class Judge:
    """Judges slots by one frame. ``columns`` (targets,) says where the evidence of each of the frame's targets is."""

    def __init__(self, frame: Frame, columns: NDArray[np.int64]) -> None:
        self.frame = frame
        self.judging = frame.judging()
        self.columns = columns
        self.links = columns[: len(frame.links)]
        self._refused: dict[str, NDArray[np.int64]] = {}
        self._days: dict[int, DayForce] = {}
        self._link = {link: at for at, link in enumerate(frame.links)}
        self._by_service = np.argsort(frame.service, kind="stable")

    def verdict(self, reached: NDArray[np.int8], vantages: Sequence[str]) -> NDArray[np.int8]:
        """Return the verdict per column from its stages (vantages, columns, …), which are given up to be changed.

        A vantage that does not count for a target is not heard.
        """
        if self.frame.restrictions:
            for row, vantage in enumerate(vantages[: len(reached)]):
                refused = self._refused_columns(vantage)
                reached[row, refused[refused < reached.shape[1]]] = -1
        return verdict(reached)

    def judge(self, reached: NDArray[np.int8], vantages: Sequence[str], day: int) -> Judged:
        """Judge one slot (vantages, columns) of the day with this ordinal. A service is up when all its live links are OK (§4)."""
        of_columns = self.verdict(reached, vantages)
        of_links = of_columns[self.links]
        force = self.force(day)
        down = self._any(force.live & (of_links >= 0) & (of_links < Stage.OK))
        unknown = self._any(force.live & (of_links < 0))
        return Judged(verdict=of_columns, up=force.service_live & ~down & ~unknown, down=down)

    def targets(self, of_columns: NDArray[np.int8], day: int) -> NDArray[np.int8]:
        """Return the verdicts (targets, slots) of the frame's targets on one day from those of columns (columns, slots).

        A link that is not in force or not live is unknown: it is a known zero, or nothing, whatever was measured.
        """
        found = np.full((len(self.columns), of_columns.shape[1]), -1, dtype=np.int8)
        heard = self.columns < len(of_columns)
        heard[: len(self.links)] &= self.force(day).live
        found[heard] = of_columns[self.columns[heard]]
        return found

    def joint(self, verdicts: NDArray[np.int8], day: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return in how many slots each service was up and down (§4), from the verdicts of its live links (links, slots)."""
        up, down = np.zeros((2, len(self.frame.services)), dtype=np.int64)
        live = self._by_service[self.force(day).live[self._by_service]]
        if len(live):
            services, start = np.unique(self.frame.service[live], return_index=True)
            here = verdicts[live]
            # A service is what its worst link is, and a failure is worse than not knowing.
            worst = np.minimum.reduceat((here < 0) + _UP * (here == Stage.OK), start, axis=0)
            up[services], down[services] = (worst == _UP).sum(axis=1), (worst == _DOWN).sum(axis=1)
        return up, down

    def force(self, day: int) -> DayForce:
        """Return what is in force on the day with this ordinal."""
        if day not in self._days:
            if len(self._days) >= KEPT_DAYS:
                self._days.clear()
            frame = self.frame
            in_force = (frame.required_from <= day) & (day < frame.required_until)
            live = in_force & (frame.live_from <= day)
            self._days[day] = DayForce(
                in_force=in_force,
                live=live,
                service_in_force=self._any(in_force),
                service_live=self._any(live),
                service_paper=self._any(in_force & ~live),
            )
        return self._days[day]

    def links_among(self, targets: Sequence[Target]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which of the targets are links of the frame, and the positions of those in it."""
        pairs = [
            (row, self._link[target.id])
            for row, target in enumerate(targets)
            if not target.endpoint and target.id in self._link
        ]
        row, link = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return row, link

    def _any(self, links: NDArray[np.bool_]) -> NDArray[np.bool_]:
        marks = np.zeros(len(self.frame.services), dtype=np.bool_)
        marks[self.frame.service[links]] = True
        return marks

    def _refused_columns(self, vantage: str) -> NDArray[np.int64]:
        if vantage not in self._refused:
            targets = [at for at, heard in self.frame.restrictions.items() if vantage not in heard]
            self._refused[vantage] = self.columns[np.array(targets, dtype=np.int64)]
        return self._refused[vantage]
