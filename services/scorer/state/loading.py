"""Reads a state folder back, sets damaged files aside, and names what would repair them (ADR 67)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, TypeVar

from services.core.model import Target
from services.indicator.calendar import Calendar
from services.indicator.cells import DayState, KeepArrays, LoadCells, SlotState
from services.indicator.evidence import Evidence
from services.scorer.state import day_files, slot_files
from services.scorer.state.damage import Damage, DamagedFileError, keep_aside, read_file
from services.scorer.state.ids import ids_reader
from services.scorer.state.manifest import SavedState, StateManifest

T = TypeVar("T")

IDS: Final = ("ids", "ids.copy")
"""Kept twice, because nothing else says what the columns of the other files mean."""

MANIFESTS: Final = ("manifest", "manifest.copy")
"""Written one after the other. After a crash in between, the second is older and describes the state before."""


@dataclass(frozen=True, slots=True)
class LoadedState:
    """The state on disk. ``slots`` are those kept in detail.

    Without a manifest nothing says how far the stream was read, or nothing is left of what was read. ``damages``
    describe the content of damaged files that is in no other file. ``begun`` is that of the manifest.
    """

    manifest: StateManifest | None
    evidence: Evidence
    slots: tuple[int, ...]
    damages: tuple[Damage, ...] = ()
    begun: float | None = None


def read_state(
    folder: Path, calendar: Calendar, known: Sequence[Target], *, room: int, keep: KeepArrays
) -> LoadedState:
    """Read a folder that has a manifest, or had one. Up to ``room`` bytes of slots in detail stay in memory. Raises OSError.

    Targets that are ``known`` are shared, not created again.
    """
    slot_folder, day_folder = folder / "slots", folder / "days"
    saved = _first_whole([folder / name for name in MANIFESTS], SavedState.decode)
    slots, days = slot_files.found(slot_folder), day_files.found(day_folder)
    ids = _first_whole([folder / name for name in IDS], ids_reader(known))
    begun = None if saved is None else saved.manifest.begun
    if ids is None:
        for path in (*slot_folder.glob(slot_files.PATTERN), *day_folder.glob(day_files.PATTERN)):
            keep_aside(path)
        return LoadedState(None, Evidence(calendar, keep=keep), (), (Damage(folder / IDS[0], "everything"),), begun)
    damages = []
    if saved is None:
        # The newest slot shows how far the stream was read: the files hold what was stored before it could be measured.
        since = calendar.start_of(max(slots) - 1) if slots else calendar.epoch
        damages.append(Damage(folder / MANIFESTS[0], "which messages the other files include", since))
    else:
        slots, days = slots | saved.slots, days | saved.days
    closed, damaged_days = _read_days(day_folder, days)
    states, loaders, damaged_slots = _read_slots(slot_folder, slots, room)
    closed_before = max((calendar.slots_of(day).stop for day in days), default=calendar.epoch_slot)
    damages += (_of_day(day_files.path_of(day_folder, day), calendar, day) for day in damaged_days)
    damages += (_of_slot(slot_folder, calendar, slot, closed_before) for slot in damaged_slots)
    evidence = Evidence.restore(
        calendar, targets=ids.targets, vantages=ids.vantages, slots=states, days=closed, away=loaders, keep=keep
    )
    kept = (*loaders, *(state.slot for state in states))
    manifest = None if saved is None else saved.manifest
    return LoadedState(manifest, evidence, tuple(sorted(kept)), tuple(damages), begun)


def _first_whole(paths: Sequence[Path], parse: Callable[[memoryview], T]) -> T | None:
    """Return the content of the first intact file, None if none is intact; set damaged files aside."""
    found: T | None = None
    for path in paths:
        try:
            content = read_file(path, parse)
        except DamagedFileError:
            keep_aside(path)
        else:
            found = content if found is None else found
    return found


def _read_days(folder: Path, days: frozenset[date]) -> tuple[list[DayState], list[date]]:
    """Return the closed days, and those whose files are damaged or missing."""
    closed, damaged = [], []
    for day in sorted(days):
        try:
            closed.append(day_files.map_day(folder, day))
        except DamagedFileError:
            keep_aside(day_files.path_of(folder, day))
            damaged.append(day)
    return closed, damaged


def _read_slots(
    folder: Path, slots: frozenset[int], room: int
) -> tuple[list[SlotState], dict[int, LoadCells], list[int]]:
    """Return the newest slots with their cells, the loaders of the others, and slots with damaged or missing files."""
    states, loaders, damaged = [], {}, []
    for slot in sorted(slots, reverse=True):
        try:
            cells = slot_files.read(folder, slot)
        except DamagedFileError:
            keep_aside(slot_files.path_of(folder, slot))
            damaged.append(slot)
            continue
        room -= cells.nbytes
        if room >= 0:
            states.append(SlotState(slot, cells))
        else:
            loaders[slot] = slot_files.loader(folder, slot)
    return states, loaders, damaged


def _of_day(path: Path, calendar: Calendar, day: date) -> Damage:
    first = calendar.first_slot(day)
    return Damage(path, f"the closed day {day}", calendar.start_of(first - 1), first)


def _of_slot(folder: Path, calendar: Calendar, slot: int, closed_before: int) -> Damage:
    """Return the damage of a slot.

    Once its day is closed, the index does not need it, and only its details are shown.
    """
    path, what = slot_files.path_of(folder, slot), f"the slot that starts at {calendar.start_of(slot)}"
    if slot >= closed_before:
        return Damage(path, what, calendar.start_of(slot - 1))
    first = calendar.first_slot(calendar.day_of(slot))
    return Damage(path, what, calendar.start_of(first - 1), first, detail_only=True)
