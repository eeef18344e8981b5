"""Stores the evidence on disk so that a crash loses nothing (docs/design.md §6) and damage is noticed (ADR 67).

There is a file for each slot kept in detail, one for each closed day, and one of ids. The manifest is written last.
Files newer than the manifest are harmless: ingesting the messages after it again changes nothing. A slot whose day has
a file is kept for its detail only. No file depends on a register: everything that does is derived again at every
startup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from services.core.errors import StateError
from services.core.files import DAMAGED, clear_parts, replace, sealed, sync
from services.core.model import Target
from services.indicator.calendar import Calendar
from services.indicator.cells import DayState, EvidenceChanges
from services.indicator.evidence import Evidence
from services.scorer.state import day_files, slot_files
from services.scorer.state.damage import in_use
from services.scorer.state.former import FormerState
from services.scorer.state.ids import Ids
from services.scorer.state.loading import IDS, MANIFESTS, LoadedState, read_state
from services.scorer.state.manifest import SavedState, StateManifest
from services.scorer.state.mapped_arrays import keep_mapped

SLOTS_ROOM = 64 << 20
"""Bytes of slots in detail kept in memory; 48 hours of 10⁴ links fit. Older slots are in their files only."""


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """Everything that one save writes, and the slots and days that are kept. Files of others are removed afterwards."""

    changes: EvidenceChanges
    manifest: StateManifest
    slots: frozenset[int]
    days: frozenset[date]


class Store:
    """The folder of one calendar's evidence. Each calendar (slots, days, epoch) has its own folder."""

    def __init__(self, data: Path, calendar: Calendar) -> None:
        self._calendar = calendar
        zone = calendar.timezone.replace("/", "-")
        self._former = data / f"evidence-{calendar.slot_seconds}s-{zone}-{int(calendar.epoch)}"  # of version 0.2.0
        self.folder = data / f"{self._former.name}-2"
        self._slots = self.folder / "slots"
        self._days = self.folder / "days"
        self._ids_written = (-1, -1)  # not written yet, not even as an empty list
        # Files that may be there: those found by ``load``, then those that the manifest lists.
        self._slots_there, self._days_there = frozenset[int](), frozenset[date]()

    @property
    def is_new(self) -> bool:
        """Whether this version has not saved anything here yet."""
        return not any((self.folder / f"{name}{suffix}").exists() for name in MANIFESTS for suffix in ("", DAMAGED))

    def load(self, known: Sequence[Target] = (), *, former: Sequence[Target] = ()) -> LoadedState:
        """Read everything back. Targets that are ``known`` are shared, not created again: a million take 110 MB.

        State of version 0.2.0 may hold targets of no register. Only its targets in ``known`` and ``former`` are kept.
        Raises StateError when the folder cannot be used.
        """
        keep = partial(keep_mapped, self.folder)
        try:
            for folder in (self._slots, self._days, self.folder):
                folder.mkdir(parents=True, exist_ok=True)
                clear_parts(folder)
            if self.is_new:
                self._clear()
                state = FormerState.read(self._former, (*known, *former))
                if state is None:
                    return LoadedState(None, Evidence(self._calendar, keep=keep), ())
                self._convert(state)
            loaded = read_state(self.folder, self._calendar, known, room=SLOTS_ROOM, keep=keep)
            self._slots_there, self._days_there = slot_files.found(self._slots), day_files.found(self._days)
        except OSError as error:
            raise StateError(
                f"the scorer's state in {self.folder} cannot be read: {error.strerror}; see --data"
            ) from error
        return loaded

    def save(self, update: StateUpdate) -> None:
        """Write what changed, the manifest last; then remove what is no longer needed.

        Raises StateError. The state on disk is then still consistent, and the process must end and restart from it.
        """
        changes = update.changes
        try:
            self._write_ids(Ids(changes.targets, changes.vantages))
            for state in changes.slots:
                slot_files.write(self._slots, state.slot, state.cells)
            if changes.slots:
                sync(self._slots)
            for day in changes.days:
                day_files.write(self._days, day)
            if changes.days:
                sync(self._days)
            self._write_manifest(SavedState(update.manifest, update.slots, update.days))
        except OSError as error:
            raise StateError(
                f"the scorer's state cannot be saved in {self.folder}: {error.strerror}; make room there and start again"
            ) from error

    def release(self, evidence: Evidence) -> None:
        """Release from memory what is in files by now. Raises StateError when a file cannot be read back."""
        evidence.release(lambda slot: slot_files.loader(self._slots, slot), self._map_day, room=SLOTS_ROOM)

    def reopen(self, evidence: Evidence, slot: int) -> None:
        """Open the days from the one of ``slot`` on again, so that messages read again count in them.

        Raises StateError.

        Their files are removed first: if only the later ones were left, a restart would take the earlier for closed and
        empty.
        """
        try:
            for day in evidence.reopen(slot):
                day_files.path_of(self._days, day).unlink(missing_ok=True)
            sync(self._days)
        except OSError as error:
            raise StateError(f"files in {self._days} cannot be removed: {error.strerror}; see --data") from error

    def _map_day(self, day: date) -> DayState:
        with in_use(day_files.path_of(self._days, day)):
            return day_files.map_day(self._days, day)

    def _clear(self) -> None:
        """Remove the files of a run that ended before its first manifest: without one their columns have no meaning."""
        for path in (*self._slots.iterdir(), *self._days.iterdir(), *(self.folder / name for name in IDS)):
            path.unlink(missing_ok=True)

    def _convert(self, former: FormerState) -> None:
        """Write the state of version 0.2.0 in the present format. Its folder stays as it is."""
        for slot, cells in former.slots():
            slot_files.write(self._slots, slot, cells)
        for day in former.days():
            day_files.write(self._days, day)
        sync(self._slots)
        sync(self._days)
        self._write_ids(former.ids)
        self._write_manifest(SavedState(former.manifest, slot_files.found(self._slots), day_files.found(self._days)))

    def _write_ids(self, ids: Ids) -> None:
        sizes = (len(ids.targets), len(ids.vantages))
        if sizes != self._ids_written:
            self._write_copies(IDS, ids.encode())
            self._ids_written = sizes

    def _write_manifest(self, saved: SavedState) -> None:
        """Write the manifest, then remove the files that were there before and that it does not list."""
        self._write_copies(MANIFESTS, saved.encode())
        for slot in self._slots_there - saved.slots:
            slot_files.path_of(self._slots, slot).unlink(missing_ok=True)
        for day in self._days_there - saved.days:
            day_files.path_of(self._days, day).unlink(missing_ok=True)
        self._slots_there, self._days_there = saved.slots, saved.days

    def _write_copies(self, names: tuple[str, ...], content: bytes) -> None:
        for name in names:
            replace(self.folder / name, sealed(content))
        sync(self.folder)
