"""Slots judged under one register version: verdicts of links, joint verdicts of services (docs/method.md §2-4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.model import Stage, Target
from services.indicator.cells import verdict
from services.indicator.register_arrays import RegisterArrays

__all__ = ["DayRequirements", "Judge", "JudgedSlot"]


@dataclass(frozen=True, slots=True)
class DayRequirements:
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
class JudgedSlot:
    """One slot judged: ``verdict`` per column (-1 = unknown), ``up`` and ``down`` per service over its live links."""

    verdict: NDArray[np.int8]
    up: NDArray[np.bool_]
    down: NDArray[np.bool_]


class Judge:
    """Judges slots by one register. ``columns`` (targets,) says where the evidence of each of the register's targets is."""

    def __init__(self, arrays: RegisterArrays, columns: NDArray[np.int64]) -> None:
        self.arrays = arrays
        self.digest = arrays.judging_digest()
        self.columns = columns
        self.links = columns[: len(arrays.links)]
        self._refused: dict[str, NDArray[np.int64]] = {}
        self._changes = arrays.required.changes()
        self._requirements: dict[int, DayRequirements] = {}
        self._targets = np.full(columns.max(initial=-1) + 1, -1, dtype=np.int64)
        self._targets[columns] = np.arange(len(columns))
        self.by_service = np.argsort(arrays.service, kind="stable")
        self.by_provider = np.argsort(arrays.provider, kind="stable")

    def verdict(self, reached: NDArray[np.int8], vantages: Sequence[str], first: int = 0) -> NDArray[np.int8]:
        """Return the verdict per column from its stages (vantages, columns, …), which are given up to be changed.

        A vantage that does not count for a target is not heard. The columns are those from ``first`` on.
        """
        if self.arrays.restrictions:
            for row, vantage in enumerate(vantages[: len(reached)]):
                refused = self._refused_columns(vantage)
                begin, end = np.searchsorted(refused, (first, first + reached.shape[1]))
                reached[row, refused[begin:end] - first] = -1
        return verdict(reached)

    def verdicts(
        self, reached: NDArray[np.int8], vantages: Sequence[str], first: int, day: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
        """Return which of the register's targets (k,) are among the columns from ``first`` on, and the verdicts (k, slots) on them.

        ``reached`` (vantages, columns, slots) are stages of one day, as in ``verdict``. A link that is not in force or not
        live is unknown: it is a known zero, or nothing, whatever was measured.
        """
        targets = np.full(reached.shape[1], -1, dtype=np.int64)
        known_to = self._targets[first : first + len(targets)]
        targets[: len(known_to)] = known_to
        live = np.append(self.requirements(day).live, np.ones(len(self.columns) - len(self.links), dtype=np.bool_))
        heard = np.flatnonzero(targets >= 0)
        heard = heard[live[targets[heard]]]
        return targets[heard], self.verdict(reached, vantages, first)[heard]

    def judge(self, reached: NDArray[np.int8], vantages: Sequence[str], day: int) -> JudgedSlot:
        """Judge one slot (vantages, columns) of the day with this ordinal. A service is up when all its live links are OK (§4)."""
        of_columns = self.verdict(reached, vantages)
        of_links = of_columns[self.links]
        force = self.requirements(day)
        down = self._any(force.live & (of_links >= 0) & (of_links < Stage.OK))
        unknown = self._any(force.live & (of_links < 0))
        return JudgedSlot(verdict=of_columns, up=force.service_live & ~down & ~unknown, down=down)

    def requirements(self, day: int) -> DayRequirements:
        """Return what is in force on the day with this ordinal."""
        # Between two dates that the register names all days are alike.
        era = int(np.searchsorted(self._changes, day, side="right"))
        if era not in self._requirements:
            in_force, live = self.arrays.required.in_force(day), self.arrays.required.live(day)
            self._requirements[era] = DayRequirements(
                in_force=in_force,
                live=live,
                service_in_force=self._any(in_force),
                service_live=self._any(live),
                service_paper=self._any(in_force & ~live),
            )
        return self._requirements[era]

    def links_among(self, targets: Sequence[Target]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which of the targets are links of the register, and the positions of those in it."""
        links = self.arrays.links
        if targets is self.arrays.targets:
            every = np.arange(len(links))
            return every, every
        pairs = []
        for row, target in enumerate(targets):
            at = bisect_left(links, target.id)
            if not target.endpoint and at < len(links) and links[at] == target.id:
                pairs.append((row, at))
        found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    def _any(self, links: NDArray[np.bool_]) -> NDArray[np.bool_]:
        marks = np.zeros(len(self.arrays.services), dtype=np.bool_)
        marks[self.arrays.service[links]] = True
        return marks

    def _refused_columns(self, vantage: str) -> NDArray[np.int64]:
        if vantage not in self._refused:
            targets = [at for at, heard in self.arrays.restrictions.items() if vantage not in heard]
            self._refused[vantage] = np.sort(self.columns[np.array(targets, dtype=np.int64)])
        return self._refused[vantage]
