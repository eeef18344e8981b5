"""``make calibrate ARGS=traffic``: false findings, faults found and their delays, of ours and of simple detectors; writes docs/traffic.md."""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.calibration.traffic.figures import ALLOWED, BUDGET, causes_of, found_of, rates_of
from tests.calibration.traffic.page import rate_line, traffic_page
from tests.calibration.traffic.scenarios import CAUSES, FAULT_SCENARIOS, FAULTS, QUICK, SCENARIOS, WHOLE
from tests.calibration.traffic.simple import SIMPLE
from tests.calibration.traffic.trial import quiet_life, tried_causes, tried_faults
from tests.support.paths import ROOT
from tests.support.processes import end_with_parent

PAGE = ROOT / "docs" / "traffic.md"


def main(arguments: Sequence[str]) -> None:
    """Try the detectors, print a line per scenario as they come, and write the page when all of them were tried."""
    parser = argparse.ArgumentParser("make calibrate ARGS='traffic …'", description=__doc__)
    parser.add_argument("scenario", nargs="*", choices=[*(one.name for one in SCENARIOS), []], help="(default: all)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at once (default: one per core)")
    parser.add_argument("--quick", action="store_true", help="a first look at all of it, for some minutes")
    parser.add_argument("--page", type=Path, help=f"where to write the page (default: docs/{PAGE.name} if all are run)")
    asked = parser.parse_args(arguments)
    began, extent = time.monotonic(), QUICK if asked.quick else WHOLE
    chosen = [one for one in SCENARIOS if one.name in (asked.scenario or [one.name])]
    with ProcessPoolExecutor(asked.processes, initializer=end_with_parent, max_tasks_per_child=1) as pool:
        quiet = {
            one.name: [pool.submit(quiet_life, one.name, life, extent) for life in range(extent.lives)]
            for one in chosen
        }
        faults = {
            name: [pool.submit(tried_faults, name, life, extent) for life in range(extent.fault_lives)]
            for name in FAULT_SCENARIOS
        }
        causes = {
            name: [pool.submit(tried_causes, name, life, extent) for life in range(extent.cause_lives)]
            for name in FAULT_SCENARIOS
        }
        rates = []
        for lives in quiet.values():
            rates.append(rates_of([life.result() for life in lives]))
            print(rate_line(rates[-1]), flush=True)  # noqa: T201  # a person reads this
        found = {}
        for name, lives_of_faults in faults.items():
            tried = [one for life in lives_of_faults for one in life.result()]
            found[name] = {who: [found_of(tried, fault, who) for fault in FAULTS] for who in ("ours", *SIMPLE)}
            for one in found[name]["ours"]:
                print(name, one, flush=True)  # noqa: T201
        charged = {}
        for name, lives_of_causes in causes.items():
            cases = [one for life in lives_of_causes for one in life.result()]
            charged[name] = [*(causes_of(cases, cause) for cause in CAUSES), causes_of(cases)]
            print(name, *charged[name], sep="\n  ", flush=True)  # noqa: T201
    where = asked.page or (None if asked.scenario or asked.quick else PAGE)
    if where:
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds, cpu = time.monotonic() - began, spent.ru_utime + spent.ru_stime
        command = f"make calibrate ARGS='{' '.join(['traffic', *arguments])}'"
        lines = traffic_page(rates, found, charged, extent, command, seconds, cpu)
        where.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    weak = {one.name for one in SCENARIOS if one.weak}
    failed = [one for one in rates if one.high["ours"] >= ALLOWED * BUDGET and one.scenario not in weak]
    if failed:
        sys.exit(f"{len(failed)} of {len(rates)} scenarios are over the budget; they are printed as FAILS")
