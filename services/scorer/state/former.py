"""Reads a state folder of version 0.2.0, which has no checksums and may hold targets that no register had.

Nothing is written to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import orjson
from numpy.typing import NDArray

from services.core.errors import StateError
from services.core.model import StreamPosition, Target
from services.indicator.cells import DayState
from services.scorer.state.ids import Ids, ids_reader
from services.scorer.state.manifest import StateManifest

_UNREADABLE = (ValueError, KeyError, TypeError, EOFError, AttributeError, BadZipFile)


@dataclass(frozen=True, slots=True, eq=False)
class FormerState:
    """What is kept of the folder. Only the columns of registered targets are kept."""

    folder: Path
    manifest: StateManifest
    ids: Ids
    columns: NDArray[np.int64]
    whole: bool  # all columns are kept

    @classmethod
    def read(cls, folder: Path, registered: Sequence[Target]) -> FormerState | None:
        """Return the state in a folder; None if there is none. Raises StateError and OSError."""
        path = folder / "manifest.json"
        if not path.exists():
            return None
        try:
            fields: dict[str, Any] = orjson.loads(path.read_bytes())
            if fields.pop("format") != 1:
                raise ValueError
            manifest = StateManifest(StreamPosition(**fields.pop("position")), **fields)
            path = folder / "ids.json"
            ids = ids_reader(registered)(path.read_bytes())
        except _UNREADABLE as error:
            raise _unusable(path) from error
        kept = set(registered)
        columns = [column for column, target in enumerate(ids.targets) if target in kept]
        return cls(
            folder,
            manifest,
            Ids(tuple(ids.targets[column] for column in columns), ids.vantages),
            np.array(columns, dtype=np.int64),
            len(columns) == len(ids.targets),
        )

    def slots(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield each slot with its cells. Raises StateError and OSError."""
        for path in sorted(self.folder.glob("slots/*.npy")):
            try:
                cells = np.load(path, allow_pickle=False)
                yield int(path.stem), cells[:, self._within(cells.shape[1])]
            except _UNREADABLE as error:
                raise _unusable(path) from error

    def days(self) -> Iterator[DayState]:
        """Yield each closed day. Raises StateError and OSError."""
        for path in sorted(self.folder.glob("days/*.npz")):
            try:
                with np.load(path, allow_pickle=False) as content:
                    shape, stages = content["shape"].tolist(), content["stages"].tobytes()
                yield self._kept(DayState(date.fromisoformat(path.stem), tuple(shape), stages))
            except _UNREADABLE as error:
                raise _unusable(path) from error

    def _kept(self, day: DayState) -> DayState:
        if self.whole:
            return day
        stages = np.concatenate([piece for _, piece in day.pieces()], axis=1)
        return DayState.pack(day.day, stages[:, self._within(stages.shape[1])])

    def _within(self, width: int) -> NDArray[np.int64]:
        """Return the kept columns of a file, which has as many columns as there were targets when it was written."""
        return self.columns[self.columns < width]


def _unusable(path: Path) -> StateError:
    return StateError(f"the scorer's state file {path} is damaged: move its evidence folder away to start anew")
