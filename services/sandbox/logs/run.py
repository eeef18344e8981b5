"""Which run a sandbox plays: the one its directory holds, gone on with, or a new one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from services.sandbox.faults.faults import CYCLE
from services.sandbox.timing import Timing
from services.sandbox.logs.truth_log import Header, kept_lines, read_header

__all__ = ["TRUTH", "Run", "choose_run"]

TRUTH = "truth.ndjson"

_AHEAD = 1.0
"""Seconds a new run begins after it was chosen, at the least."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run's header, the lines of its truth log that stand, the first cycle to be written, and whether it goes on."""

    header: Header
    kept: tuple[bytes, ...] = ()
    cycle: int = 0
    resumed: bool = False


def choose_run(directory: Path, wanted: Header, times: Timing, now: float) -> Run:
    """Go on with the run kept in ``directory`` if it is the same as ``wanted``, or begin one at the next slot.

    A run gone on with has a gap: from the slot in which it was last alive up to the first slot that is whole again.
    """
    path = directory / TRUTH
    known = read_header(path)
    if known is None or not known.same_run(wanted):
        return Run(replace(wanted, first_slot=times.slot_at(now + _AHEAD) + 1))
    ended = max(int(path.stat().st_mtime // times.slot), known.first_slot)
    whole = max(times.slot_at(now) + 1, ended)
    cycle = max((whole - known.first_slot) // CYCLE, 0)
    gaps = (*known.gaps, (ended, whole)) if whole > ended else known.gaps
    kept = tuple(kept_lines(path, known.first_slot + cycle * CYCLE))
    return Run(replace(known, gaps=gaps), kept, cycle, resumed=True)
