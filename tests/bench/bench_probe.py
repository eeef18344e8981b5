"""CPU per probe of kind http, plain and over TLS, against a server in another process.

Run it by ``python -m tests.bench probe``.
What is counted is the user and system time of this process alone, over everything a probe costs it: connecting,
sending, parsing, verifying, judging, and writing down the measurement. The schedule and the bus are not in it.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter

import structlog
import uvloop

from services.core.codec import encode_measurements
from services.core.definition import Expect, JsonExpectation, Probe, Tls
from services.core.evidence import Target
from services.core.model import Egress
from services.core.outcome import Reason
from services.prober.assignment import Assignment
from services.prober.attempt import Attempts
from services.prober.egress import EgressRules
from services.prober.measure import Origin, measurement
from services.prober.network import Network
from services.prober.schedule import Entry
from tests.bench.target import serving


async def _run(url: str, pem: Path, probes: int, at_once: int) -> tuple[float, float]:
    """Return microseconds of CPU per probe and probes per second."""
    network = Network(egress=EgressRules(Egress(("127.0.0.0/8",), allow_loopback=True)))
    attempts = Attempts(network, structlog.get_logger())
    expect = Expect(status=(200,), json=(JsonExpectation("$.clear", type="boolean"),))
    definition = Probe(
        "bench", "http", tls=Tls(ca=f"file:{pem}"), expect=expect, headers={"Accept": "application/json"}
    )
    origin = Origin("main", "bench", "r" * 64, "p" * 64)

    async def work(number: int, count: int) -> None:
        entry = Entry(Target(f"link-{number}"), definition.timeout)
        assignment = Assignment(entry, definition, "consumer", "provider", url, {}, 2.0, None)
        rows = []
        for _ in range(count):
            result = await attempts.probe(assignment, definition.timeout)
            assert result.judgement.reason is Reason.OK, result
            rows.append(measurement(entry.target, 0, result.observation, result.judgement, origin))
        encode_measurements(rows)

    async def all_of(count: int) -> None:
        await asyncio.gather(*(work(number, count // at_once) for number in range(at_once)))

    await all_of(at_once * 5)
    before, start = getrusage(RUSAGE_SELF), perf_counter()
    await all_of(probes)
    after, took = getrusage(RUSAGE_SELF), perf_counter() - start
    await network.close()
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return cpu / probes * 1e6, probes / took


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m tests.bench probe", description=__doc__)
    parser.add_argument("--probes", type=int, default=5000)
    parser.add_argument("--at-once", type=int, default=50)
    arguments = parser.parse_args(argv)
    with ExitStack() as ends:
        folder = ends.enter_context(tempfile.TemporaryDirectory())
        server = ends.enter_context(serving(Path(folder)))
        ports = server.ports[0]
        for kind, url, probes in (
            ("http", f"http://127.0.0.1:{ports.plain}/", arguments.probes),
            ("tls", f"https://127.0.0.1:{ports.secure}/", arguments.probes // 4),
        ):
            cpu, rate = uvloop.run(_run(url, server.authority, probes, arguments.at_once))
            print(f"{kind:<5} {cpu:7.1f} us CPU per probe   {rate:8.0f} probes/s")  # noqa: T201 - a person reads this


if __name__ == "__main__":
    main()
