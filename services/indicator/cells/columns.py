"""Which column each target has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.core.model import Target

__all__ = ["TargetColumns"]


class TargetColumns:
    """Targets in the order they were first heard of: each keeps its column for good, whether a register knows it or not."""

    def __init__(self, targets: Sequence[Target] = ()) -> None:
        self.targets: list[Target] = []
        self._of_links: dict[str, int] = {}
        self._of_endpoints: dict[str, int] = {}
        self._last: tuple[Sequence[Target], NDArray[np.int64]] = ((), np.zeros(0, dtype=np.int64))
        self._longest = self._last
        self.of(targets)

    def of(self, targets: Sequence[Target]) -> NDArray[np.int64]:
        """Return the column of each target, read-only; one not heard of before gets the next."""
        # Of a batch several ask in turn, and of all that a register names again and again; looking up a million names
        # misses the processor's cache every time.
        for asked, columns in (self._last, self._longest):
            if asked is targets:
                return columns
        links, endpoints = self._of_links, self._of_endpoints
        columns = np.array(
            [(endpoints if target.endpoint else links).get(target.id, -1) for target in targets], dtype=np.int64
        )
        for at in np.flatnonzero(columns < 0).tolist():
            target = targets[at]
            columns[at] = (endpoints if target.endpoint else links).setdefault(target.id, len(self.targets))
            if columns[at] == len(self.targets):
                self.targets.append(target)
        columns.flags.writeable = False
        if isinstance(targets, tuple):
            self._last = targets, columns
            if len(targets) >= len(self._longest[0]):
                self._longest = self._last
        return columns
