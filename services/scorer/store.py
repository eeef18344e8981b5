"""The evidence on disk, so that a crash at any moment loses nothing (DESIGN.md, Time, loss and duplication).

One file per slot kept in detail, one per closed day, one of ids; the manifest comes last. What is newer than the
manifest is harmless: taking the messages after it in again changes nothing. A slot whose day has a file is kept for its
detail only. No file says anything of a register: what one makes of the evidence is derived anew at every start.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import orjson

from services.core.errors import StateError
from services.core.evidence import Target
from services.indicator.calendar import Calendar
from services.indicator.window import Changes, DayState, Evidence, SlotState
from services.scorer.files import replace, sync
from services.scorer.manifest import Manifest

__all__ = ["Loaded", "Save", "Store"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was on disk; ``slots`` are those in detail. Without a manifest the evidence is empty."""

    manifest: Manifest | None
    evidence: Evidence
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Save:
    """All that one save writes, and the slots and days whose files go afterwards."""

    changes: Changes
    manifest: Manifest
    dropped_slots: tuple[int, ...]
    dropped_days: tuple[date, ...]


class Store:
    """The folder of one calendar's evidence; another calendar (slots, days, epoch) has a folder of its own."""

    def __init__(self, data: Path, calendar: Calendar) -> None:
        self._calendar = calendar
        zone = calendar.timezone.replace("/", "-")
        self.folder = data / f"evidence-{calendar.slot_seconds}s-{zone}-{int(calendar.epoch)}"
        self._slots = self.folder / "slots"
        self._days = self.folder / "days"
        self._ids = self.folder / "ids.json"
        self._manifest = self.folder / "manifest.json"
        self._ids_written = (-1, -1)  # none, not even an empty list

    def load(self) -> Loaded:
        """Read everything back. Raises StateError when a file cannot be used."""
        try:
            for folder in (self._slots, self._days):
                folder.mkdir(parents=True, exist_ok=True)
            if not self._manifest.exists():
                self._clear()
                return Loaded(None, Evidence(self._calendar), ())
            manifest = Manifest.decode(self._manifest.read_bytes(), str(self._manifest))
            ids = _ids(self._ids)
            slots = tuple(_slots(self._slots))
            days = tuple(_days(self._days))
        except OSError as error:
            raise StateError(
                f"the scorer's state in {self.folder} cannot be read: {error.strerror}; see --data"
            ) from error
        targets, vantages = ids
        self._ids_written = (len(targets), len(vantages))
        evidence = Evidence.restore(self._calendar, targets=targets, vantages=vantages, slots=slots, days=days)
        return Loaded(manifest, evidence, tuple(state.slot for state in slots))

    def save(self, save: Save) -> None:
        """Write what changed, the manifest last; then remove what is no longer needed.

        Raises StateError; what is on disk then is still whole, and the process must end and start from it.
        """
        try:
            self._write(save)
        except OSError as error:
            raise StateError(
                f"the scorer's state cannot be saved in {self.folder}: {error.strerror}; make room there and start again"
            ) from error

    def _clear(self) -> None:
        """Remove what a run left behind that ended before its first manifest: its ids are nobody's."""
        for path in (*self._slots.iterdir(), *self._days.iterdir(), self._ids):
            path.unlink(missing_ok=True)

    def _write(self, save: Save) -> None:
        changes = save.changes
        sizes = (len(changes.targets), len(changes.vantages))
        if sizes != self._ids_written:
            targets = [(target.id, target.endpoint) for target in changes.targets]
            replace(self._ids, orjson.dumps({"targets": targets, "vantages": changes.vantages}))
            sync(self.folder)
            self._ids_written = sizes
        for state in changes.slots:
            replace(self._slots / f"{state.slot}.npy", _array(state))
        if changes.slots:
            sync(self._slots)
        for day in changes.days:
            replace(self._days / f"{day.day.isoformat()}.npz", _archive(day))
        if changes.days:
            sync(self._days)
        replace(self._manifest, save.manifest.encode())
        sync(self.folder)
        for slot in save.dropped_slots:
            (self._slots / f"{slot}.npy").unlink(missing_ok=True)
        for dropped in save.dropped_days:
            (self._days / f"{dropped.isoformat()}.npz").unlink(missing_ok=True)


def _array(state: SlotState) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, state.cells, allow_pickle=False)
    return buffer.getvalue()


def _archive(state: DayState) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, shape=np.array(state.shape, dtype=np.int64), stages=np.frombuffer(state.stages, dtype=np.uint8))
    return buffer.getvalue()


def _ids(path: Path) -> tuple[list[Target], list[str]]:
    try:
        content = orjson.loads(path.read_bytes())
        targets = [Target(name, endpoint=endpoint) for name, endpoint in content["targets"]]
        return targets, content["vantages"]
    except (ValueError, KeyError, TypeError) as error:
        raise _unusable(path) from error


def _slots(folder: Path) -> Iterator[SlotState]:
    for path in sorted(folder.glob("*.npy")):
        try:
            yield SlotState(int(path.stem), np.load(io.BytesIO(path.read_bytes()), allow_pickle=False))
        except (ValueError, EOFError) as error:
            raise _unusable(path) from error


def _days(folder: Path) -> Iterator[DayState]:
    for path in sorted(folder.glob("*.npz")):
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                vantages, targets, slots = arrays["shape"].tolist()
                yield DayState(date.fromisoformat(path.stem), (vantages, targets, slots), arrays["stages"].tobytes())
        except KeyError as error:
            raise StateError(
                f"the scorer's state file {path} is of an earlier version, which kept no stages of closed days: move its "
                "evidence folder away to start anew from what MEASUREMENTS still holds"
            ) from error
        except (ValueError, EOFError, BadZipFile) as error:
            raise _unusable(path) from error


def _unusable(path: Path) -> StateError:
    return StateError(f"the scorer's state file {path} is damaged: move its evidence folder away to start anew")
