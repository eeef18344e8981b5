"""The rows that are judged: flows, and their sums by service, provider, consumer and bus (docs/method.md §12.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.core.model import FindingScope
from services.indicator.array_types import Bools, Ints, Numbers
from services.indicator.findings.inputs import Topology
from services.indicator.scipy_parts import SparseRows, sparse_rows

_FEWEST: Final = 2
"""The fewest flows of a sum: one alone is judged as a flow."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """r rows: the f flows, then the sums, narrowest scope first.

    ``scope`` and ``subject`` are (r,). ``members`` (r - f, f) has a 1 where a flow belongs to a sum. ``service`` (f,)
    is the number of each flow's service.
    """

    flows: int
    scope: tuple[FindingScope, ...]
    subject: tuple[str, ...]
    members: SparseRows
    service: Ints

    @classmethod
    def of(cls, topology: Topology) -> Rows:
        """Arrange the flows of a topology."""
        flows = len(topology.flows)
        scopes = [FindingScope.FLOW] * flows
        subjects = list(topology.flows)
        rows: list[Ints] = []
        for scope, ids in (
            (FindingScope.SERVICE, topology.service),
            (FindingScope.PROVIDER, topology.provider),
            (FindingScope.CONSUMER, topology.consumer),
            (FindingScope.BUS, topology.bus),
        ):
            names, number = _numbered(ids)
            for position, name in enumerate(names):
                members = np.flatnonzero(number == position)
                if len(members) >= _FEWEST:
                    scopes.append(scope)
                    subjects.append(name)
                    rows.append(members)
        ends = np.cumsum([0, *(len(members) for members in rows)])
        columns = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        return cls(
            flows,
            tuple(scopes),
            tuple(subjects),
            sparse_rows(np.ones(len(columns)), columns, ends, flows),
            _numbered(topology.service)[1],
        )

    def __len__(self) -> int:
        return len(self.scope)

    def with_sums(self, of_flows: Numbers) -> Numbers:
        """Return values of flows (…, f) followed by their sums, (…, r)."""
        if not self.members.shape[0]:
            return of_flows
        sums = (self.members @ of_flows.reshape(-1, self.flows).T).T
        return np.concatenate([of_flows, sums.reshape(*of_flows.shape[:-1], -1)], axis=-1)

    def flows_of(self, row: int) -> Ints:
        """Return the flows of a row."""
        if row < self.flows:
            return np.array([row])
        start, stop = self.members.indptr[row - self.flows : row - self.flows + 2]
        return np.asarray(self.members.indices[start:stop], np.int64)

    def sums_with(self, some: Bools) -> Bools:
        """Return which rows (r,) are one of some flows (f,), or contain one."""
        return np.asarray(self.with_sums(some.astype(np.float64)) > 0)


def _numbered(ids: Sequence[str]) -> tuple[list[str], Ints]:
    """Return the distinct ids in order, and the number of each. An array of strings would be as wide as the longest."""
    names = sorted(set(ids))
    numbers = {name: number for number, name in enumerate(names)}
    return names, np.array([numbers[name] for name in ids], np.int64)
