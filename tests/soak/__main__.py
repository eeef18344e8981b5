"""``make soak``: runs a simulated government for a day in short slots, and says by how much the memory of each component grows.

Slots are short, so that those of 24 hours pass in an hour and a half; what grows with each slot, measurement or index shows as it
would in a day, what grows with time alone does not.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.bench.meters.process import machine
from tests.soak.chart import memory_chart
from tests.support.paths import ROOT
from tests.support.system import System

_SLOTS_AN_HOUR = 12  # of 300 s, the default of a policy
_START_SECONDS = 300.0  # the first index comes after the first whole slot
_WARM = 1 / 3  # of the run: caches fill and libraries are loaded before memory is expected to stay constant
_PRIVATE = re.compile(r"^(?:RssAnon|RssShmem):\s+(\d+) kB$", re.MULTILINE)

Samples = list[tuple[float, float]]
"""Simulated hours since the first index, and MiB."""


def _private_mib(pid: int) -> float:
    """Return the memory of a living process that only it can give back, in MiB."""
    return sum(map(int, _PRIVATE.findall(Path(f"/proc/{pid}/status").read_text("ascii")))) / 1024


def _follow(system: System, slot: float, hours: float) -> dict[str, Samples]:
    """Sample the memory of every component once a slot."""
    samples: dict[str, Samples] = defaultdict(list)
    pids = system.children()
    began = time.monotonic()
    for number in range(round(hours * _SLOTS_AN_HOUR)):
        time.sleep(max(0.0, began + number * slot - time.monotonic()))
        assert system.children() == pids, f"{pids.keys() - system.children().keys()} did not stay up"
        for name, pid in pids.items():
            samples[name].append((number / _SLOTS_AN_HOUR, _private_mib(pid)))
    return samples


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """Return the growth of samples (hours, MiB) in MiB per hour, by least squares without the first third."""
    hours, mib = np.array(samples[round(len(samples) * _WARM) :]).T
    return float(np.polyfit(hours, mib, 1)[0])


def _table(samples: Mapping[str, Samples], limit: float) -> Iterator[tuple[str, bool]]:
    yield f"{'component':<14}{'at first':>12}{'at last':>12}{'grows by':>16}", False
    for name, ours in sorted(samples.items()):
        grows = slope(ours)
        line = f"{name:<14}{ours[0][1]:>8,.0f} MiB{ours[-1][1]:>8,.0f} MiB{grows:>10,.2f} MiB/h"
        yield line + (f"  more than {limit:g}" if grows > limit else ""), grows > limit


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # a person reads this


def main() -> int:
    """Run the soak. Returns 1 when a component grows by more than the limit."""
    parser = argparse.ArgumentParser("make soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="simulated hours, of 12 slots each (default: 24)")
    parser.add_argument("--slot", type=int, default=20, help="seconds that a slot takes (default: 20)")
    parser.add_argument("--scenario", default="national", help="of the sandbox (default: national)")
    parser.add_argument("--limit", type=float, default=1.0, help="MiB an hour (default: 1)")
    parser.add_argument(
        "--svg", type=Path, default=ROOT / "build" / "soak.svg", help="the chart (default: build/soak.svg)"
    )
    asked = parser.parse_args()
    seconds = asked.hours * _SLOTS_AN_HOUR * asked.slot
    _say(
        f"scenario {asked.scenario}, {asked.hours:g} hours in slots of {asked.slot} s: {seconds / 60:.0f} minutes; {machine()}"
    )
    with tempfile.TemporaryDirectory(prefix="peyvand-soak-") as folder:
        limit = seconds + 2 * _START_SECONDS
        flags = ("--scenario", asked.scenario, "--slot", f"{asked.slot}s", "--for", f"{limit:.0f}s")
        system = System(Path(folder) / "data", flags)
        system.start()
        try:
            system.until(
                lambda: "\npeyvand_index_lower{" in system.page("scorer", "/metrics")[1],
                what="the first index",
                seconds=_START_SECONDS,
            )
            samples = _follow(system, asked.slot, asked.hours)
        finally:
            system.stop()
    grown = False
    for line, too_much in _table(samples, asked.limit):
        _say(line)
        grown |= too_much
    asked.svg.parent.mkdir(parents=True, exist_ok=True)
    asked.svg.write_text(memory_chart(samples), "utf-8")
    _say(f"drawn in {asked.svg}")
    return int(grown)


if __name__ == "__main__":
    sys.exit(main())
