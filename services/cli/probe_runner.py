"""Chooses what ``peyvand probe`` probes, probes each target once, and prints the results as they come."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import time
from typing import cast
from zoneinfo import ZoneInfo

import structlog
import typer
import uvloop

from services.cli.render.format import did_you_mean, new_console
from services.cli.render.probe import ProbeRun, run_line, run_report
from services.core.codec import measurement_to_json
from services.core.errors import SettingsError
from services.core.log import Logger
from services.core.model import Probe, Register, Target, fill_placeholders, placeholders
from services.prober.assignments import Assignment, Origin, assignments
from services.prober.attempt import ProbeResult, ProbeRunner
from services.prober.kinds import ProbeEnvironment
from services.prober.publishing import measured
from services.prober.scheduling import ScheduleEntry
from services.register.probes import required_params
from services.register.reading import read_target

_CONCURRENCY = 50  # enough to be quick, too few for one probe to slow another
_NARROW = 72
"""Columns of a terminal below which a line goes without its latency."""


def choose(register: Register, ids: Sequence[str], vantage: str | None) -> list[Assignment]:
    """Return what the register lists under these ids, everything without ``ids``.

    Raises SettingsError that names each that cannot be probed.
    """
    vantages = {listed.id for listed in register.policy.vantages}
    if vantage is not None and vantage not in vantages:
        raise SettingsError(
            f"--vantage {vantage} is not in the register's policy, which has: {', '.join(sorted(vantages))}"
        )
    available = assignments(register, vantage)
    missing = [name for name in ids if all(target.id != name for target in available)]
    if missing:
        raise SettingsError(f"cannot probe {'; '.join(_why_not(register, name) for name in missing)}")
    return [assignment for target, assignment in available.items() if not ids or target.id in ids]


def _why_not(register: Register, name: str) -> str:
    link = register.links.get(name)
    if link is not None and link.absent:
        return f"{name}: the link is absent, documented as not built"
    if link is not None or name in register.endpoints:
        return f"{name}: it belongs to another vantage"
    known = [*register.links, *register.endpoints]
    return f"{name}: the register has no such link or endpoint{did_you_mean(name, known)}"


def define(register: Register, name: str, target: str, params: Sequence[str]) -> Assignment:
    """Return definition ``name`` at ``target``, with params as NAME=VALUE; its id is the name.

    It is judged by the policy's default limits. Raises SettingsError.
    """
    definition = register.probes.get(name)
    if definition is None:
        raise SettingsError(f"--probe {name} is not in probes.yaml, which has: {', '.join(sorted(register.probes))}")
    values = dict(map(_parse_param, params))
    _check(definition, target, values)
    policy = register.policy
    return Assignment(
        entry=ScheduleEntry(Target(name, endpoint=True), definition.timeout),
        definition=definition,
        consumer="",
        provider="",
        url=target,
        params=(values,),
        latency=policy.default_latency_ms / 1000,
        max_age=policy.default_max_age_s,
        zone=ZoneInfo(policy.timezone),
    )


def choose_record(chosen: Sequence[Assignment], number: int) -> list[Assignment]:
    """Leave each target this test record alone, counted from 1. Raises SettingsError that names each with fewer."""
    short = [f"{item.target.id} has {len(item.params)}" for item in chosen if number > len(item.params)]
    if short:
        raise SettingsError(f"there is no test record --record {number}: {', '.join(short)}")
    return [replace(item, params=item.params[number - 1 : number]) for item in chosen]


def _parse_param(text: str) -> tuple[str, object]:
    """Read NAME=VALUE. As in probes.yaml, a value that is a number or a flag in JSON is one; others are text."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise SettingsError(f"--param {name} is not NAME=VALUE")
    try:
        parsed = json.loads(value, parse_constant=_refuse)
    except ValueError:
        return name, value
    return name, parsed if isinstance(parsed, str | bool | int | float) else value


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not a JSON number")


def _check(definition: Probe, target: str, params: Mapping[str, object]) -> None:
    try:
        missing = sorted((placeholders(target) | required_params(definition)) - params.keys())
        if missing:
            needed = " and ".join(f"--param {name}=…" for name in missing)
            raise SettingsError(f"probe {definition.name} needs {needed}")
        read_target(fill_placeholders(target, params), definition.kind)
    except ValueError as error:
        raise SettingsError(f"--target {target} cannot be probed: {error}") from error


def run(
    register: Register,
    chosen: Sequence[Assignment],
    environment: ProbeEnvironment,
    *,
    vantage: str | None,
    explain: bool,
    as_json: bool,
) -> None:
    """Probe everything chosen and print the results: explained when there is one or ``explain``, else a line each.

    Probing ends with closing the environment.
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
    cut = console.is_terminal  # a terminal gets one line per target, a pipe gets all of it

    def show(assignment: Assignment, result: ProbeResult) -> None:
        probe_run = ProbeRun(assignment, result, time())
        if at_length:
            console.print(run_report(probe_run, console.width))
            if len(chosen) > 1:
                console.rule(style="dim")
        else:
            line = run_line(probe_run, width, narrow=cut and console.width < _NARROW)
            console.print(line, no_wrap=cut, overflow="ellipsis" if cut else None, soft_wrap=not cut)

    return show


def _summary(register: Register, results: Sequence[ProbeResult]) -> str:
    counts = Counter(result.judgement.outcome for result in results)
    parts = [f"{counts[outcome]} {outcome.name}" for outcome in sorted(counts, reverse=True)]
    absent = sum(link.absent for link in register.links.values())
    on_paper = f"; absent and not probed: {absent}" if absent else ""
    return f"{len(results)} probed: {', '.join(parts) or 'nothing'}{on_paper}"
