"""``make calibrate``: how often intervals hold the truth, in every scenario; writes docs/calibration.md."""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.calibration import reconcile, silence
from tests.calibration.cells import REQUIRED, Cell, cells_of
from tests.calibration.gate import Found, run
from tests.calibration.page import line, page
from tests.calibration.scenarios import REPLICATIONS, SCENARIOS
from tests.calibration.traffic.run import main as run_traffic
from tests.support.paths import ROOT
from tests.support.processes import end_with_parent

CHUNK = 25
PAGE = ROOT / "docs" / "calibration.md"


def main() -> None:
    """Run the gate on all cores and print a line per scenario, window and kind as they come.

    Exits with code 1 if a cell is below REQUIRED and its scenario is no known weak spot.
    """
    others = {"reconcile": reconcile.main, "silence": silence.main}
    if len(sys.argv) == 2 and sys.argv[1] in others:
        others[sys.argv[1]]()
        return
    if sys.argv[1:2] == ["traffic"]:
        run_traffic(sys.argv[2:])
        return
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(
        "make calibrate ARGS='…'", description=__doc__, epilog="reconcile, silence, traffic: those of exchanges"
    )
    parser.add_argument("scenario", nargs="*", choices=[*names, []], help="which ones (default: all)")
    parser.add_argument("--replications", type=int, default=REPLICATIONS, help=f"of each (default: {REPLICATIONS})")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at once (default: one per core)")
    parser.add_argument("--page", type=Path, help=f"where to write the page (default: docs/{PAGE.name} if all are run)")
    arguments = parser.parse_args()
    chosen = [number for number, name in enumerate(names) if name in (arguments.scenario or names)]
    began = time.monotonic()
    cells: list[Cell] = []
    for number, found in _found(chosen, arguments.replications, arguments.processes):
        new = cells_of(SCENARIOS[number], found)
        for cell in new:
            print(line(cell), flush=True)  # noqa: T201  # a person reads this
        cells += new
    whole = not arguments.scenario and arguments.replications >= REPLICATIONS
    where = arguments.page or (PAGE if whole else None)
    if where:
        words = [*arguments.scenario]
        if arguments.replications != REPLICATIONS:
            words.append(f"--replications {arguments.replications}")
        command = f"make calibrate ARGS='{' '.join(words)}'" if words else "make calibrate"
        where.write_text(
            page(cells, arguments.replications, command, time.monotonic() - began, _cpu_seconds()), encoding="utf-8"
        )
    failed = [cell for cell in cells if cell.coverage < REQUIRED and not cell.scenario.weak]
    if failed:
        sys.exit(f"{len(failed)} of {len(cells)} cells are below {REQUIRED:.2f}; they are printed as FAILS")


def _found(
    chosen: list[int], replications: int, processes: int
) -> Iterator[tuple[int, list[dict[tuple[int, str], Found]]]]:
    """Run each scenario's lives in parallel chunks. The results do not depend on how they are cut."""
    with ProcessPoolExecutor(processes, initializer=end_with_parent) as pool:
        chunks = [range(first, min(first + CHUNK, replications)) for first in range(0, replications, CHUNK)]
        running = [(number, [pool.submit(run, number, chunk) for chunk in chunks]) for number in chosen]
        for number, parts in running:
            yield number, [part.result() for part in parts]


def _cpu_seconds() -> float:
    """Return the processor seconds of the processes that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    main()
