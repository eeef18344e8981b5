"""docs/calibration.md, from what the gate found."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from statistics import median

import numpy as np
import scipy

from services.indicator.method_version import METHOD_VERSION
from tests.calibration.cells import REQUIRED, WANTED, Cell
from tests.calibration.government import KINDS
from tests.calibration.scenarios import SCENARIOS, SEED, WINDOWS

WEAK = """\
* A bus that never fails makes the intervals of near-perfect systems many times as wide as the estimate varies (perfect-bus). Ninety
  days cannot tell more: a bus that fails for half a day every four months (rare-long-bus) has the same record in 47 of 100 spans
  of 90 days, and one interval must hold both truths. Such an interval says that it rests on no outage of the bus.
* A window of a week is short: where few outages fall into it, one more would move the index by as much as all of them, and the
  interval is two to ten times as wide as the estimate varies (near-perfect, young, five-providers). Longer windows are narrower."""


def line(cell: Cell) -> str:
    """One cell, for a person who waits."""
    return (
        f"{cell.scenario.name:17} {cell.days:2} d  {cell.kind:10}  coverage {cell.coverage:.3f} ± {cell.error:.3f}"
        f"  weakest tenth {cell.weakest:.3f}  width {cell.width:.5f} = {cell.ratio:.2f} x range  {verdict(cell)}"
    )


def verdict(cell: Cell) -> str:
    """What the gate says of a cell."""
    if cell.coverage >= WANTED:
        return "ok"
    return "below .95" if cell.coverage >= REQUIRED else "FAILS"


def page(cells: Sequence[Cell], lives: int, command: str, seconds: float, cpu: float) -> str:
    """The whole page."""
    return "\n".join(_page(cells, lives, command, seconds, cpu)) + "\n"


def _page(cells: Sequence[Cell], lives: int, command: str, seconds: float, cpu: float) -> Iterator[str]:
    tried = [cell for cell in cells if not cell.scenario.weak]
    low = sorted((cell for cell in cells if cell.coverage < WANTED), key=lambda cell: cell.coverage)
    yield "# Calibration of the intervals"
    yield ""
    yield f"Written by `{command}` in {seconds / 60:.0f} minutes, {cpu / 60:.0f} of processor time; nobody edits this page."
    yield f"{machine()}."
    yield f"Method {METHOD_VERSION}, seed {SEED}, {lives:,} lives of each scenario."
    yield ""
    yield ABOUT
    yield ""
    yield "## In short"
    yield f"* {_counts(tried)} (scenarios that are not known weak spots)."
    yield f"* {_counts([cell for cell in cells if cell.scenario.weak])} (known weak spots)."
    for days in WINDOWS:
        ratios = [cell.ratio for cell in tried if cell.days == days and np.isfinite(cell.ratio)]
        yield f"* {days} days: the median width is {median(ratios):.2f} times the central 95 % range of the estimate."
    yield ""
    yield "## Cells below .95"
    yield from [f"* {_name(cell)}: {_share(cell.coverage)} ± {cell.error:.3f}{_failed(cell)}" for cell in low] or [
        "None."
    ]
    hidden = [cell for cell in tried if cell.coverage >= WANTED and cell.weakest < REQUIRED]
    yield ""
    yield "## Means that hide weaker sets"
    yield "Cells that are not below .95, but of whose links, services or agencies one in ten is covered less than .90:"
    yield ""
    yield from [f"* {_name(cell)}: a tenth is at or below {_share(cell.weakest)}" for cell in hidden] or ["None."]
    yield ""
    yield "## Known weak spots"
    yield WEAK
    yield ""
    yield "## Every cell"
    yield "Coverage ± its standard error, and the width as a multiple of the central 95 % range of the estimate."
    yield "**Bold** is below .95, with † below .90."
    yield ""
    yield f"| scenario | days | {' | '.join(KINDS)} |"
    yield f"|---|---|{'---|' * len(KINDS)}"
    for (name, days), row in groupby(cells, key=lambda cell: (cell.scenario.name, cell.days)):
        yield f"| {name} | {days} | {' | '.join(map(_cell, row))} |"
    yield ""
    yield "## Scenarios"
    yield "Their parameters are in tests/calibration/scenarios.py."
    yield ""
    yield from [f"* {one.name}: {one.about}{' (known weak spot)' if one.weak else ''}." for one in SCENARIOS]


ABOUT = """\
A government is simulated event by event: outages of the bus, of providers and of links begin and end at moments, each
target is probed once in a slot, of five minutes unless a scenario says otherwise, at a phase of its own, and what those probes
meet goes through the code that judges real evidence: causes, rows per day, sums, intervals; in the last scenarios all the
way from verdicts to the indicators that are published. A tenth of the links are on paper unless a scenario says otherwise.

The *truth* is the long-run expected index of the simulated process: for a link, the product over its causes of the share of
time each is up; for sets, the weighted mean over links. Where outages change in the middle of the window it is the mean of
the two halves: what the index of this window would be on average, were it lived again and again. An interval *covers* when
it holds the truth. Coverage is over all lives and, within a life, over all agencies and sectors and up to about 400 links
and services; what is on paper alone, and what is measured too little to be published, is left out. Its standard error is over
lives, as what shares a life shares outages.
Wanted is .95 in every cell, required .90. An interval as wide as the central 95 % range of the estimate itself (ratio 1) could
only be had by who knew the process."""


def _counts(cells: Sequence[Cell]) -> str:
    wanted = sum(cell.coverage >= WANTED for cell in cells)
    required = sum(cell.coverage >= REQUIRED for cell in cells)
    worst = min(cells, key=lambda cell: cell.coverage, default=None)
    lowest = f"; lowest {_share(worst.coverage)} ({_name(worst)})" if worst else ""
    return f"{len(cells)} cells: {wanted} at .95 or more, {required} at .90 or more{lowest}"


def _name(cell: Cell) -> str:
    return f"{cell.scenario.name}, {cell.days} days, {cell.kind}"


def _failed(cell: Cell) -> str:
    return "" if cell.coverage >= REQUIRED else " †"


def _cell(cell: Cell) -> str:
    bold = "**" if cell.coverage < WANTED else ""
    return f"{bold}{_share(cell.coverage)}{bold}{_failed(cell)} ± {cell.error:.3f} · {cell.ratio:.1f}x"


def _share(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def machine() -> str:
    """The processor and the versions that figures are of."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    cores = f"{len(os.sched_getaffinity(0))} cores"
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}"
    return f"{cpu[1] if cpu else platform.machine()}, {cores}, {versions}"
