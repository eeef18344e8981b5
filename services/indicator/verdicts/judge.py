"""Decides the verdict of each target in a slot, over all vantages, and whether services were up (docs/method.md §2-4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import compress, decompress

import numpy as np

from services.core.model import Stage
from services.indicator.array_types import Bools, Codes, Ints
from services.indicator.register_arrays import RegisterArrays

_FAST = 1  # level of compression


@dataclass(frozen=True, slots=True)
class DayRequirements:
    """The links and services that are in force on one day. The register's dates are midnights, so a day is uniform.

    Links (n,): ``in_force``; ``live`` are those in force that are also live. Services (s,): ``service_in_force`` have a
    link in force, ``service_live`` a live one, ``service_paper`` one in force that is not live, so they are down all day.
    """

    in_force: Bools
    live: Bools
    service_in_force: Bools
    service_live: Bools
    service_paper: Bools


@dataclass(frozen=True, slots=True)
class JudgedSlot:
    """One judged slot: ``verdict`` per column (-1 = unknown), ``up`` and ``down`` per service over its live links."""

    verdict: Codes
    up: Bools
    down: Bools

    def pack(self) -> PackedSlot:
        """Return the slot compressed: most of its verdicts are equal."""
        return PackedSlot(*(compress(part.tobytes(), _FAST) for part in (self.verdict, self.up, self.down)))


@dataclass(frozen=True, slots=True)
class PackedSlot:
    """A judged slot of an open day, compressed."""

    verdict: bytes
    up: bytes
    down: bytes

    def unpack(self) -> JudgedSlot:
        """Return the judged slot."""
        up, down = (np.frombuffer(decompress(part), dtype=np.bool_) for part in (self.up, self.down))
        return JudgedSlot(np.frombuffer(decompress(self.verdict), dtype=np.int8), up, down)


class Judge:
    """Judges slots under one register; ``columns`` (targets,) are the columns of the register's targets in the evidence."""

    def __init__(self, arrays: RegisterArrays, columns: Ints) -> None:
        self.arrays = arrays
        self.digest = arrays.judging_digest()
        self.columns = columns
        self.links = columns[: len(arrays.links)]
        self._excluded: dict[str, Ints] = {}
        self._changes = arrays.required.changes()
        self._requirements: dict[int, DayRequirements] = {}
        self._owed: dict[tuple[str, int], Ints] = {}
        self._targets = np.full(columns.max(initial=-1) + 1, -1, dtype=np.int64)
        self._targets[columns] = np.arange(len(columns))
        self.by_service = np.argsort(arrays.service, kind="stable")
        self.by_provider = np.argsort(arrays.provider, kind="stable")

    def verdict(self, stages: Codes, vantages: Sequence[str], first: int = 0) -> Codes:
        """Return the verdict per column from its stages (vantages, columns, …), which may be overwritten.

        Vantages that do not count for a target are left out. The columns are those from ``first`` on.
        """
        if self.arrays.restrictions:
            for row, vantage in enumerate(vantages[: len(stages)]):
                excluded = self._excluded_columns(vantage)
                begin, end = np.searchsorted(excluded, (first, first + stages.shape[1]))
                stages[row, excluded[begin:end] - first] = -1
        return verdict_over_vantages(stages)

    def verdicts(self, stages: Codes, vantages: Sequence[str], first: int, day: int) -> tuple[Ints, Codes]:
        """Return the register's targets (k,) among the columns from ``first`` on, and their verdicts (k, slots).

        ``stages`` (vantages, columns, slots) are stages of one day, as in ``verdict``. Links that are not in force or
        not live are left out: whatever was measured, they are not required or known zeros.
        """
        targets = np.full(stages.shape[1], -1, dtype=np.int64)
        registered = self._targets[first : first + len(targets)]
        targets[: len(registered)] = registered
        live = np.append(self.requirements(day).live, np.ones(len(self.columns) - len(self.links), dtype=np.bool_))
        columns = np.flatnonzero(targets >= 0)
        columns = columns[live[targets[columns]]]
        return targets[columns], self.verdict(stages, vantages, first)[columns]

    def judge(self, stages: Codes, vantages: Sequence[str], day: int) -> JudgedSlot:
        """Judge one slot (vantages, columns) of a day, given as an ordinal. A service is up when all live links are OK (§4)."""
        verdict = self.verdict(stages, vantages)
        links, required = verdict[self.links], self.requirements(day)
        down = self._services_of(required.live & (links >= 0) & (links < Stage.OK))
        unknown = self._services_of(required.live & (links < 0))
        return JudgedSlot(verdict=verdict, up=required.service_live & ~down & ~unknown, down=down)

    def requirements(self, day: int) -> DayRequirements:
        """Return the links and services in force on the day with this ordinal."""
        # Requirements change only on dates of the register, so one value serves every day between two of them.
        period = int(np.searchsorted(self._changes, day, side="right"))
        if period not in self._requirements:
            in_force, live = self.arrays.required.in_force(day), self.arrays.required.live(day)
            self._requirements[period] = DayRequirements(
                in_force=in_force,
                live=live,
                service_in_force=self._services_of(in_force),
                service_live=self._services_of(live),
                service_paper=self._services_of(in_force & ~live),
            )
        return self._requirements[period]

    def owed(self, vantage: str, day: int) -> Ints:
        """Return the columns of the targets that a vantage has to measure on the day with this ordinal."""
        key = vantage, int(np.searchsorted(self._changes, day, side="right"))
        if key not in self._owed:
            columns = np.concatenate([self.links[self.requirements(day).live], self.columns[len(self.links) :]])
            excluded = self._excluded_columns(vantage)
            self._owed[key] = columns[~np.isin(columns, excluded)] if len(excluded) else columns
        return self._owed[key]

    def _services_of(self, links: Bools) -> Bools:
        """Return which services have any of these links."""
        services = np.zeros(len(self.arrays.services), dtype=np.bool_)
        services[self.arrays.service[links]] = True
        return services

    def _excluded_columns(self, vantage: str) -> Ints:
        if vantage not in self._excluded:
            targets = [target for target, counting in self.arrays.restrictions.items() if vantage not in counting]
            self._excluded[vantage] = np.sort(self.columns[np.array(targets, dtype=np.int64)])
        return self._excluded[vantage]


def verdict_over_vantages(stages: Codes) -> Codes:
    """Return the verdict over vantages: the lower median of the known stages (docs/method.md §2).

    ``stages`` (vantages, …), -1 = unknown, gives (…), -1 where no vantage knows. OK needs a strict majority.
    """
    if len(stages) == 0:
        return np.full(stages.shape[1:], -1, dtype=np.int8)
    if len(stages) == 1:
        return np.array(stages[0], dtype=np.int8)
    known = (stages >= 0).sum(axis=0, dtype=np.int8)
    ranked = list(np.where(stages < 0, np.int8(127), stages))
    # A sorting network of whole rows: for a few vantages many times faster than sorting each column.
    for end in range(len(ranked) - 1, 0, -1):
        for row in range(end):
            below, above = ranked[row], ranked[row + 1]
            ranked[row], ranked[row + 1] = np.minimum(below, above), np.maximum(below, above)
    middle = np.where(known == 0, np.int8(-1), ranked[0])
    for place in range(1, (len(ranked) + 1) // 2):
        # Element ⌊(known - 1) / 2⌋ of the sorted known stages.
        np.copyto(middle, ranked[place], where=(known - 1) // 2 == place)
    return middle
