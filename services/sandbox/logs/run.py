"""Chooses the run that a sandbox plays: the one whose truth log is in its directory, or a new one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import orjson

from services.sandbox.faults import CYCLE
from services.sandbox.logs.json_lines import read_lines
from services.sandbox.timing import Timing

TRUTH = "truth.ndjson"

_AHEAD = 1.0
"""The least number of seconds between the choice of a new run and its start."""


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What defines a run; a sandbox restarted with the same values resumes it. ``gaps`` are slots [from, to)."""

    register_version: str
    slot_seconds: int
    first_slot: int
    seed: int
    scenario: str
    faults: float
    base_port: int
    traffic: float = 0.0
    gaps: tuple[tuple[int, int], ...] = ()

    def same_run(self, other: RunHeader) -> bool:
        """Return whether nothing but the first slot and the gaps differs."""
        return replace(self, first_slot=0, gaps=()) == replace(other, first_slot=0, gaps=())


@dataclass(frozen=True, slots=True)
class Run:
    """A run's header, the lines of its truth log to keep, the first cycle to write, and whether it is resumed."""

    header: RunHeader
    kept: tuple[bytes, ...] = ()
    cycle: int = 0
    resumed: bool = False


def read_header(path: Path) -> RunHeader | None:
    """Return the header of a truth log; None when there is none or it cannot be read."""
    try:
        with path.open("rb") as file:
            header = RunHeader(**orjson.loads(file.readline()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return replace(header, gaps=tuple((start, end) for start, end in header.gaps))


def choose_run(directory: Path, wanted: RunHeader, times: Timing, now: float) -> Run:
    """Resume the run in ``directory`` if it is the same as ``wanted``, or start one at the next slot.

    A resumed run has a gap, from the slot in which it was last alive to the first whole slot.
    """
    path = directory / TRUTH
    header = read_header(path)
    if header is None or not header.same_run(wanted):
        return Run(replace(wanted, first_slot=times.slot_at(now + _AHEAD) + 1))
    ended = max(int(path.stat().st_mtime // times.slot), header.first_slot)
    whole = max(times.slot_at(now) + 1, ended)
    cycle = max((whole - header.first_slot) // CYCLE, 0)
    gaps = (*header.gaps, (ended, whole)) if whole > ended else header.gaps
    before = header.first_slot + cycle * CYCLE
    kept = tuple(line for span, line in islice(read_lines(path), 1, None) if span["from"] < before)
    return Run(replace(header, gaps=gaps), kept, cycle, resumed=True)
