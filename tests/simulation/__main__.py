"""``make simulate``: simulates a month for each of many seeds, and prints what was injected and what was found."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tests.simulation.many import silence_components, simulate_many
from tests.simulation.month import Month, simulate
from tests.simulation.shape import MOST

_SHOWN = 5
"""The number of faults printed of one month among many. The others often follow from these."""


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # a person reads this


def _show(month: Month, most: int | None = _SHOWN) -> None:
    _say(f"seed {month.seed}: {len(month.faults)} faults found")
    for fault in month.faults[:most]:
        _say(f"  {fault}")
    _say(f"  again, with all that happened: make simulate ARGS='--seed {month.seed}'")


def _summary(months: int, failed: list[int], counts: Counter[str], cpu: float) -> Iterator[str]:
    yield f"{'injected':<34}{'count':>12}"
    for name in (*MOST, *sorted(counts.keys() - MOST.keys())):
        yield f"{name:<34}{counts[name]:>12,}"
    yield f"{months:,} months, {cpu:,.0f} s of the processor, {cpu / max(1, months):.2f} s each, on {os.cpu_count()} cores"
    yield f"faults found with {len(failed)} seeds{': ' + ', '.join(map(str, failed)) if failed else ''}"


def main() -> int:
    """Run the simulation. Returns 1 if it found faults."""
    parser = argparse.ArgumentParser("make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--seed", type=int, help="this one alone, with all that happened")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--minutes", type=float, default=240.0, help="begin no month after so long (default: 240)")
    asked = parser.parse_args()
    silence_components()
    if asked.seed is not None:
        month = simulate(asked.seed)
        _say("\n".join(month.log))
        _say("\n".join(_summary(1, [asked.seed] if month.faults else [], month.counts, month.cpu_seconds)))
        if month.faults:
            _show(month, None)
        return 1 if month.faults else 0
    seeds = range(asked.first, asked.first + asked.seeds)
    counts, failed, cpu, done = Counter[str](), list[int](), 0.0, 0
    for month in simulate_many(seeds, asked.jobs, time.monotonic() + 60 * asked.minutes):
        counts, cpu, done = counts + month.counts, cpu + month.cpu_seconds, done + 1
        if month.faults:
            failed.append(month.seed)
            _show(month)
        if done % 500 == 0:
            _say(f"{done:,} months, {cpu:,.0f} s of the processor, faults with {len(failed)} seeds")
    _say("\n".join(_summary(done, failed, counts, cpu)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
