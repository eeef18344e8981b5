"""Computes the history of links and endpoints from the days that the archive sealed (docs/archive.md §10)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from typing import Final

from services.api.model import RegisterView
from services.core.model import Indicator, IndicatorKind
from services.indicator.cells import MeasuredDay
from services.indicator.index import TargetHistory

_DAYS: Final = 400
"""Days of a history, as in stream INDICATORS."""


class SealedDays:
    """Days of the dataset at an address, each read once and counted by the register in force.

    They are read in a thread of their own. Reading takes long, and other calls need the threads that all share.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._reading = ThreadPoolExecutor(1, "sealed-days")
        self._history: TargetHistory | None = None

    def close(self) -> None:
        """End the thread, after the call under way; calls in the queue are dropped."""
        self._reading.shutdown(wait=False, cancel_futures=True)

    async def read(
        self, view: RegisterView, kind: IndicatorKind, entity: str, window: int, *, start: float, end: float
    ) -> list[Indicator]:
        """Return the ``indexes``, after all earlier calls. A call that is cancelled in the queue reads nothing.

        Raises StateError when the dataset cannot be read or is damaged.
        """
        work = partial(self.indexes, view, kind, entity, window, start=start, end=end)
        return await asyncio.get_running_loop().run_in_executor(self._reading, work)

    def indexes(
        self, view: RegisterView, kind: IndicatorKind, entity: str, window: int, *, start: float, end: float
    ) -> list[Indicator]:
        """Return the index of a link or endpoint at the end of each sealed day, as of a moment in [start, end).

        It reads files, one call at a time: coroutines use ``read``. Raises StateError when the dataset cannot be read or
        is damaged.
        """
        from services.dataset.days import LogFiles, Manifest, read_sealed  # noqa: PLC0415  # pyarrow takes 44 MB
        from services.dataset.storage import open_storage  # noqa: PLC0415
        from services.dataset.tables import COUNTED, LINK_DAY, MEASUREMENT, stages_of  # noqa: PLC0415

        storage, calendar = open_storage(self._address), view.calendar
        sealed = {date.fromisoformat(one.day): one for _, one in LogFiles(storage).manifests()}

        def sequence(manifest: Manifest) -> int:
            return max((span.last for span in manifest.streams if span.stream == MEASUREMENT.stream), default=0)

        ends = {
            day: sequence(manifest)
            for day, manifest in sorted(sealed.items())[-_DAYS:]
            if start <= calendar.start_of(calendar.slots_of(day).stop) < end
        }
        if not ends:
            return []
        if self._history is None or self._history.arrays is not view.arrays:
            self._history = TargetHistory(view.arrays, calendar)
        history = self._history
        first = min(ends) - timedelta(days=window)
        for day, manifest in sealed.items():
            if not first < day <= max(ends) or day in history or manifest.timezone != calendar.timezone:
                continue
            files = [file for file in manifest.files if file.kind == LINK_DAY.name]
            parts = [MeasuredDay(day, *stages_of(read_sealed(storage, file, COUNTED))) for file in files]
            if parts and parts[0].stages.shape[2] == len(calendar.slots_of(day)):
                history.put(parts)
        return history.indexes(kind, entity, window, ends)
