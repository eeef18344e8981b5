"""The evidence on disk. A crash at any moment loses nothing (docs/design.md §6).

There is a file for each slot kept in detail, one for each closed day, and one of ids; the manifest is written last. Files
newer than the manifest are harmless: taking in the messages after it again changes nothing. A slot whose day has a file is
kept for its detail only. No file depends on a register: everything that does is derived again at every start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import orjson

from services.core.errors import StateError
from services.core.files import clear_parts, replace, sync
from services.core.model import Target
from services.indicator.calendar import Calendar
from services.indicator.cells import EvidenceChanges
from services.indicator.evidence import Evidence
from services.scorer.state import day_files, slot_files
from services.scorer.state.damage import damaged
from services.scorer.state.manifest import StateManifest
from services.scorer.state.mapped_arrays import MappedArrays

SLOTS_ROOM = 64 << 20
"""Bytes of slots in detail kept in memory; 48 hours of 10⁴ links fit. Older slots are in their files only."""


@dataclass(frozen=True, slots=True)
class LoadedState:
    """The state on disk; ``slots`` are those kept in detail. Without a manifest the evidence is empty."""

    manifest: StateManifest | None
    evidence: Evidence
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """Everything that one save writes, and the slots and days whose files are removed afterwards."""

    changes: EvidenceChanges
    manifest: StateManifest
    dropped_slots: tuple[int, ...]
    dropped_days: tuple[date, ...]


class Store:
    """The folder of one calendar's evidence. Each calendar (slots, days, epoch) has its own folder."""

    def __init__(self, data: Path, calendar: Calendar) -> None:
        self._calendar = calendar
        zone = calendar.timezone.replace("/", "-")
        self.folder = data / f"evidence-{calendar.slot_seconds}s-{zone}-{int(calendar.epoch)}"
        self._slots = self.folder / "slots"
        self._days = self.folder / "days"
        self._ids = self.folder / "ids.json"
        self._manifest = self.folder / "manifest.json"
        self._ids_written = (-1, -1)  # not written yet, not even as an empty list

    def load(self, known: Sequence[Target] = ()) -> LoadedState:
        """Read everything back. Targets among those ``known`` are shared, not created again: a million take 110 MB.

        Raises StateError when a file cannot be used.
        """
        keep = MappedArrays(self.folder).keep
        try:
            for folder in (self._slots, self._days):
                folder.mkdir(parents=True, exist_ok=True)
                clear_parts(folder)
            if not self._manifest.exists():
                self._clear()
                return LoadedState(None, Evidence(self._calendar, keep=keep), ())
            manifest = StateManifest.decode(self._manifest.read_bytes(), str(self._manifest))
            ids = _ids(self._ids, known)
            slots, loaders = slot_files.read_saved(self._slots, room=SLOTS_ROOM)
            closed = tuple(day_files.map_days(self._days))
        except OSError as error:
            raise StateError(
                f"the scorer's state in {self.folder} cannot be read: {error.strerror}; see --data"
            ) from error
        targets, vantages = ids
        self._ids_written = (len(targets), len(vantages))
        evidence = Evidence.restore(
            self._calendar, targets=targets, vantages=vantages, slots=slots, days=closed, away=loaders, keep=keep
        )
        return LoadedState(manifest, evidence, tuple(sorted([*loaders, *(state.slot for state in slots)])))

    def save(self, update: StateUpdate) -> None:
        """Write what changed, the manifest last; then remove what is no longer needed.

        Raises StateError. The state on disk is consistent then, and the process must end and start from it.
        """
        try:
            self._write(update)
        except OSError as error:
            raise StateError(
                f"the scorer's state cannot be saved in {self.folder}: {error.strerror}; make room there and start again"
            ) from error

    def release(self, evidence: Evidence) -> None:
        """Release from memory what is in files by now. Raises StateError when a file cannot be read back."""
        evidence.release(
            lambda slot: slot_files.loader(self._slots, slot),
            lambda day: day_files.map_day(day_files.path_of(self._days, day)),
            room=SLOTS_ROOM,
        )

    def _clear(self) -> None:
        """Remove the files of a run that ended before its first manifest: without it their columns have no meaning."""
        for path in (*self._slots.iterdir(), *self._days.iterdir(), self._ids):
            path.unlink(missing_ok=True)

    def _write(self, update: StateUpdate) -> None:
        changes = update.changes
        sizes = (len(changes.targets), len(changes.vantages))
        if sizes != self._ids_written:
            targets = [(target.id, target.endpoint) for target in changes.targets]
            replace(self._ids, orjson.dumps({"targets": targets, "vantages": changes.vantages}))
            sync(self.folder)
            self._ids_written = sizes
        for state in changes.slots:
            replace(slot_files.path_of(self._slots, state.slot), slot_files.content(state.cells))
        if changes.slots:
            sync(self._slots)
        for day in changes.days:
            replace(day_files.path_of(self._days, day.day), day_files.archive(day))
        if changes.days:
            sync(self._days)
        replace(self._manifest, update.manifest.encode())
        sync(self.folder)
        for slot in update.dropped_slots:
            slot_files.path_of(self._slots, slot).unlink(missing_ok=True)
        for dropped in update.dropped_days:
            day_files.path_of(self._days, dropped).unlink(missing_ok=True)


def _ids(path: Path, known: Sequence[Target]) -> tuple[list[Target], list[str]]:
    of_links, of_endpoints = (
        {target.id: target for target in known if target.endpoint is endpoint} for endpoint in (False, True)
    )
    try:
        content = orjson.loads(path.read_bytes())
        targets = [
            (of_endpoints if endpoint else of_links).get(name) or Target(name, endpoint=endpoint)
            for name, endpoint in content["targets"]
        ]
        return targets, content["vantages"]
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path) from error
