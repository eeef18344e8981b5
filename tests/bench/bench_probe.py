"""CPU per probe of every kind alone, against servers in another process.

Run it by ``python -m tests.bench probe``.
What is counted is the user and system time of this process alone, over everything a probe costs it: connecting,
sending, parsing, verifying, judging, and writing down the measurement. The schedule and the bus are not in it.
Where this process was not busy all the time, probes/s says how fast the servers were.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter

import structlog
import uvloop

from services.core.codec import encode_measurements
from services.core.model.measurement import Target
from services.core.model.outcome import Reason
from services.core.model.register import Egress
from services.prober.assignments import Assignment, Origin
from services.prober.attempt import ProbeRunner
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.publishing.measurements import measured
from services.prober.scheduling.schedule import ScheduleEntry
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.bench.meters.process import machine
from tests.bench.targets.apart import apart
from tests.bench.targets.cases import SECRET, Case, cases, serving_all
from tests.support.servers.authority import Authority

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class _Cost:
    """Seconds of CPU (user and system) and of the clock, for so many probes."""

    user: float
    system: float
    took: float
    probes: int

    def line(self, name: str) -> str:
        user, system = (seconds / self.probes * 1e6 for seconds in (self.user, self.system))
        busy = (self.user + self.system) / self.took
        return f"{name:<30}{user:>9.0f}{system:>9.0f}{user + system:>9.0f}{self.probes / self.took:>10.0f}{busy:>8.0%}"


async def _measure(case: Case, probes: int, at_once: int) -> _Cost:
    """Probe, ``at_once`` at a time. Raises AssertionError when a probe is not judged OK."""
    environment = ProbeEnvironment(Outbound(egress=EgressRules(Egress(("127.0.0.0/8",), allow_loopback=True))))
    attempts = ProbeRunner(environment, structlog.get_logger())
    definition = case.definition
    origin = Origin("main", "bench", "r" * 64, "p" * 64)
    items = [
        Assignment(
            ScheduleEntry(Target(f"link-{number}"), definition.timeout),
            definition,
            "a",
            "b",
            case.target,
            ({},),
            2.0,
            None,
        )
        for number in range(at_once)
    ]

    async def work(item: Assignment, count: int) -> None:
        rows = []
        for _ in range(count):
            result = await attempts.probe(item)
            assert result.judgement.reason is Reason.OK, (case.name, result.judgement, result.observation)
            rows.append(measured(item.target, 0, result.observation, result.judgement, origin))
        encode_measurements(rows)

    async def all_of(each: int) -> None:
        await asyncio.gather(*(work(item, each) for item in items))

    each = max(1, probes // at_once)
    try:
        await all_of(3)  # builds and caches everything that is made once
        before, start = getrusage(RUSAGE_SELF), perf_counter()
        await all_of(each)
        after, took = getrusage(RUSAGE_SELF), perf_counter() - start
    finally:
        await environment.close()
    return _Cost(after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime, took, each * at_once)


def _lines(probes: int, at_once: int, only: str) -> Iterator[str]:
    yield machine()
    yield f"µs of CPU per probe, {at_once} probes at a time"
    yield f"{'kind':<30}{'user':>9}{'system':>9}{'together':>9}{'probes/s':>10}{'busy':>8}"
    with ExitStack() as ends:
        authority = Authority.make(Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="peyvand-bench-"))))
        urls = ends.enter_context(apart(lambda: serving_all(authority)))
        for case in cases(urls, authority):
            if only in case.name:
                yield uvloop.run(_measure(case, probes, at_once)).line(case.name)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m tests.bench probe", description=__doc__)
    parser.add_argument("--probes", type=int, default=2000, help="of each kind (default: 2000)")
    parser.add_argument("--at-once", type=int, default=50, help="how many are under way together (default: 50)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the kinds whose name holds it")
    arguments = parser.parse_args(argv)
    os.environ[SECRET] = "s3cret"
    for line in _lines(arguments.probes, arguments.at_once, arguments.only):
        print(line, flush=True)  # noqa: T201 - a person reads this
