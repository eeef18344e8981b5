"""``make chaos``: a seeded schedule of faults over a real installation, judged by a model; a failure is shrunk to one command."""

from __future__ import annotations

import argparse
import asyncio
import math
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import chain, takewhile
from pathlib import Path

from services.core import log as logs
from tests.chaos.campaign import Run, run
from tests.chaos.faults import CLASSES
from tests.chaos.model import judge
from tests.chaos.schedule import Fault, Round, draw, installations
from tests.chaos.shrink import shrink
from tests.chaos.world import Abilities


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # a person reads this


def _all(asked: argparse.Namespace, rounds: Sequence[Round]) -> tuple[list[Run], list[str]]:
    """Run one installation after another until there are findings. Return the runs and the findings."""
    runs, findings = list[Run](), list[str]()
    end = time.monotonic() + asked.minutes * 60
    for part in installations(rounds, asked.renew):
        if not findings and time.monotonic() < end:
            done, findings = _once(asked, part, end)
            runs.append(done)
    return runs, findings


def _once(asked: argparse.Namespace, rounds: Sequence[Round], end: float) -> tuple[Run, list[str]]:
    """Run the rounds that begin in time in a new folder, and judge them. The folder stays if there are findings."""
    folder = Path(tempfile.mkdtemp(prefix="peyvand-chaos-"))
    in_time = takewhile(lambda _: time.monotonic() < end, rounds)
    done = asyncio.run(run(folder, asked.seed, in_time, _abilities(asked), say=_say))
    findings = judge(done)
    if findings:
        _say(f"what was found stays in {folder}")
    else:
        shutil.rmtree(folder)
    return done, findings


def _report(rounds: Sequence[Round], runs: Sequence[Run], findings: Sequence[str], seconds: float) -> None:
    counts = Counter(f"{fault.kind}, {fault.action}" for one in rounds for fault in one)
    by_action: dict[str, list[float]] = {name: [] for name in counts}
    for recovery in chain.from_iterable(one.recoveries for one in runs):
        for fault in recovery.faults:
            if recovery.seconds is not None:
                by_action[f"{fault.kind}, {fault.action}"].append(recovery.seconds)
    _say(f"{'fault':<30}{'count':>8}{'median s':>12}{'worst s':>12}")
    for name, recovered in sorted(by_action.items()):
        figures = (
            f"{statistics.median(recovered):>12.1f}{max(recovered):>12.1f}" if recovered else f"{'-':>12}{'-':>12}"
        )
        _say(f"{name:<30}{counts[name]:>8}{figures}")
    _say(
        f"{counts.total()} faults in {len(rounds)} rounds of {len(runs)} installations and {seconds:.0f} s; "
        f"{sum(len(one.record.acknowledged) for one in runs)} messages were acknowledged, {sum(len(one.answers) for one in runs)} indexes published"
    )
    for line, times in Counter(chain.from_iterable(one.exits for one in runs)).most_common():
        _say(f"ended by itself, {times} times: {line}")
    for finding in findings:
        _say(f"  * {finding}")


async def _smallest(asked: argparse.Namespace, rounds: Sequence[Round]) -> list[int]:
    """Return the numbers of a few faults of an installation that still make it fail."""

    async def fails(faults: Sequence[Fault]) -> bool:
        kept = _of(asked, [fault.number for fault in faults])
        folder = Path(tempfile.mkdtemp(prefix="peyvand-chaos-"))
        findings = judge(await run(folder, asked.seed, kept, _abilities(asked), say=_say))
        shutil.rmtree(folder, ignore_errors=True)
        _say(f"{len(faults)} faults: {'fails' if findings else 'passes'}")
        return bool(findings)

    faults = [fault for one in rounds for fault in one]
    return [fault.number for fault in await shrink(faults, fails, attempts=asked.shrink)]


def _abilities(asked: argparse.Namespace) -> Abilities:
    return Abilities(
        disks=not {"disks", "power"}.isdisjoint(asked.allowed),
        clocks="clocks" in asked.allowed,
        network="network" in asked.allowed or asked.cluster,
    )


def _of(asked: argparse.Namespace, only: Collection[int]) -> list[Round]:
    classes = {name: CLASSES[name].draw for name in asked.classes.split(",")}
    drawn = draw(asked.seed, asked.faults, classes, only=only)
    possible = [[fault for fault in one if fault.kind in asked.allowed] for one in drawn]
    return [one for one in possible if one]


def _part(text: str) -> tuple[int, int]:
    first, parts = map(int, text.split("/"))
    if not 1 <= first <= parts:
        raise ValueError
    return first, parts


def main() -> int:
    """Run a campaign. Returns 1 if there are findings."""
    parser = argparse.ArgumentParser("make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=30, help="how many (default: 30)")
    parser.add_argument(
        "--classes", default=",".join(CLASSES), help=f"by commas, of {', '.join(CLASSES)} (default: all)"
    )
    parser.add_argument(
        "--cluster", action="store_true", help="a bus of three servers, also without faults of the network"
    )
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="after which no more faults happen (default: never)"
    )
    parser.add_argument(
        "--part", type=_part, default=(1, 1), metavar="K/N", help="each N-th round from the K-th on (default: all)"
    )
    parser.add_argument(
        "--renew", type=int, default=250, help="faults after which another installation is begun (default: 250)"
    )
    parser.add_argument("--only", default="", help="numbers of the faults that happen, by commas (default: all)")
    parser.add_argument(
        "--shrink", type=int, default=10, help="how often a failing schedule is tried with fewer faults (default: 10)"
    )
    asked = parser.parse_args()
    if unknown := [name for name in asked.classes.split(",") if name not in CLASSES]:
        parser.error(f"there is no class {unknown[0]!r}")
    reasons = {name: CLASSES[name].why_not() for name in asked.classes.split(",")}
    asked.allowed = [name for name, reason in reasons.items() if not reason]
    for name, reason in reasons.items():
        if reason:
            _say(f"skipped: faults of {name}, because {reason}")
    only = [int(number) for number in asked.only.split(",") if number]
    first, parts = asked.part
    rounds = _of(asked, only)[first - 1 :: parts]
    logs.configure_logging("chaos", "error")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all started processes end
    began = time.monotonic()
    runs, findings = _all(asked, rounds)
    happened = rounds[: sum(len(one.recoveries) for one in runs)]
    _report(happened, runs, findings, time.monotonic() - began)
    if not findings:
        return 0
    numbers = asyncio.run(_smallest(asked, happened[-len(runs[-1].recoveries) :]))
    cluster = "--cluster " if asked.cluster else ""
    command = f"{cluster}--seed {asked.seed} --faults {asked.faults} --classes {asked.classes} --only {','.join(map(str, numbers))}"
    _say(f"again: make chaos ARGS='{command}'")
    return 1


if __name__ == "__main__":
    sys.exit(main())
