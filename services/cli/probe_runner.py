"""Probes each target once for ``peyvand probe``, and prints the results as they come."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from time import time
from typing import cast

import structlog
import typer
import uvloop

from services.cli.render.format import new_console
from services.cli.render.probe import ProbeRun, run_line, run_report
from services.core.codec import measurement_to_json
from services.core.log import Logger
from services.core.model import Register
from services.prober.assignments import Assignment, Origin
from services.prober.attempt import ProbeResult, ProbeRunner
from services.prober.kinds import ProbeEnvironment
from services.prober.publishing import measured

_CONCURRENCY = 50  # enough to be quick, too few for one probe to slow another


def run(
    register: Register,
    chosen: Sequence[Assignment],
    environment: ProbeEnvironment,
    *,
    vantage: str | None,
    explain: bool,
    as_json: bool,
) -> None:
    """Probe everything chosen and print the results: explained if there is one or ``explain`` is set, else a line each.

    The environment is closed afterwards.
    """
    at_length = not as_json and (explain or len(chosen) == 1)
    if as_json:
        show = _json_printer(register, vantage or next((listed.id for listed in register.policy.vantages), ""))
    else:
        show = _printer(chosen, at_length=at_length)
    # An explanation judges every check once more, which must not delay probes under way.
    results = uvloop.run(_probe_all(register, chosen, _show_nothing if at_length else show, environment))
    if at_length:
        for assignment, result in zip(chosen, results, strict=True):
            show(assignment, result)
    if not as_json and len(chosen) != 1:
        typer.echo(_summary(register, results))


async def _probe_all(
    register: Register,
    chosen: Sequence[Assignment],
    show: Callable[[Assignment, ProbeResult], None],
    environment: ProbeEnvironment,
) -> list[ProbeResult]:
    """Probe all, a few at a time, and show each in the order given."""
    environment.outbound.adopt(register.policy.egress)
    attempts = ProbeRunner(environment, _logger())
    slot_number = int(time() // register.policy.slot_seconds)
    semaphore = asyncio.Semaphore(_CONCURRENCY)

    async def attempt(assignment: Assignment) -> ProbeResult:
        async with semaphore:
            return await attempts.probe(assignment, assignment.turn(slot_number))

    results = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [(assignment, group.create_task(attempt(assignment))) for assignment in chosen]
            for assignment, task in tasks:
                results.append(await task)
                show(assignment, results[-1])
    finally:
        await environment.close()
    return results


def _logger() -> Logger:
    """Return a logger for our own failures; tracebacks go without values, which may be secret."""
    printer = structlog.PrintLogger(sys.stderr)
    processors = structlog.processors.format_exc_info, structlog.processors.JSONRenderer()
    return cast("Logger", structlog.wrap_logger(printer, processors=processors))


def _show_nothing(_assignment: Assignment, _result: ProbeResult) -> None: ...


def _json_printer(register: Register, vantage: str) -> Callable[[Assignment, ProbeResult], None]:
    slot_start = int(time() // register.policy.slot_seconds) * register.policy.slot_seconds
    origin = Origin(vantage, "probe", register.register_version, register.probe_version)

    def show(assignment: Assignment, result: ProbeResult) -> None:
        row = measured(assignment.target, slot_start, result.observation, result.judgement, origin)
        typer.echo(measurement_to_json(row))

    return show


def _printer(chosen: Sequence[Assignment], *, at_length: bool) -> Callable[[Assignment, ProbeResult], None]:
    console = new_console()
    width = max((len(assignment.target.id) for assignment in chosen), default=0)
    columns = console.width if console.is_terminal else None

    def show(assignment: Assignment, result: ProbeResult) -> None:
        probe_run = ProbeRun(assignment, result, time())
        if at_length:
            console.print(run_report(probe_run, console.width))
            if len(chosen) > 1:
                console.rule(style="dim")
        else:
            console.print(run_line(probe_run, width, columns), soft_wrap=columns is None)

    return show


def _summary(register: Register, results: Sequence[ProbeResult]) -> str:
    counts = Counter(result.judgement.outcome for result in results)
    parts = [f"{counts[outcome]} {outcome.name}" for outcome in sorted(counts, reverse=True)]
    absent = sum(link.absent for link in register.links.values())
    on_paper = f"; absent and not probed: {absent}" if absent else ""
    return f"{len(results)} probed: {', '.join(parts) or 'nothing'}{on_paper}"
