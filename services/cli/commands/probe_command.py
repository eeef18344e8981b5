"""``peyvand probe``: probes what a register lists, or one definition at any target, once and without a bus (docs/probing.md)."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from time import time
from typing import Annotated, cast

import structlog
import typer
import uvloop
from rich.console import Console

from services.cli.commands.probe import chosen, only, single
from services.cli.render.probe import Probed, explained, line
from services.core.codec import measurement_to_json
from services.core.errors import SettingsError
from services.core.log import Logger
from services.core.model import Register
from services.prober.assignments import Assignment
from services.prober.attempt import ProbeResult, ProbeRunner
from services.prober.environment import ProbeEnvironment
from services.prober.publishing import Origin, measured
from services.prober.transport import EgressRules, Outbound
from services.register.directory import load_register

__all__ = ["probe"]

# Enough to be quick, too few for one probe to slow another.
_AT_ONCE = 50
_NARROW = 72


def probe(
    directory: Annotated[Path, typer.Argument(help="Register directory.", metavar="DIR")],
    link: Annotated[
        list[str] | None, typer.Option(help="Only this link or endpoint; may be repeated.", metavar="ID")
    ] = None,
    definition: Annotated[
        str | None, typer.Option("--probe", help="This definition of probes.yaml, at --target.", metavar="NAME")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Where --probe goes.", metavar="URL")] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="A param for --probe, NAME=VALUE; may be repeated.", metavar="NAME=VALUE")
    ] = None,
    vantage: Annotated[str | None, typer.Option(help="Only what this vantage probes.", metavar="ID")] = None,
    record: Annotated[
        int | None,
        typer.Option(help="Ask for test record N where there are several, not for the one whose turn it is.", min=1),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", "-v", help="Explain each at length, as is done for a single one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One Measurement a line, as JSON.")] = False,
) -> None:
    """Probe each link and endpoint once and say what was seen; no bus is needed.

    What targets answer changes nothing about the exit code: it is 0 when everything could be probed, 1 for bad input.
    """
    if as_json and explain:
        raise SettingsError("--json and --explain cannot go together")
    register = load_register(directory)
    if definition is None and target is None and not param:
        wanted = chosen(register, link or (), vantage)
    elif definition is None or target is None or link:
        raise SettingsError("--probe NAME needs --target URL, may have --param NAME=VALUE, and no --link")
    else:
        wanted = [single(register, definition, target, param or ())]
    if record is not None:
        wanted = only(wanted, record)
    origin = Origin(
        vantage or next((known.id for known in register.policy.vantages), ""),
        "probe",
        register.register_version,
        register.probe_version,
    )
    at_length = not as_json and (explain or len(wanted) == 1)
    show = _json(register, origin) if as_json else _picture(wanted, at_length=at_length)
    # To explain is to judge once more, and nobody is to be delayed by that.
    results = uvloop.run(_attempt(register, wanted, _nothing if at_length else show))
    if at_length:
        for assignment, result in zip(wanted, results, strict=True):
            show(assignment, result)
    if not as_json and len(wanted) != 1:
        typer.echo(_summary(register, results))


def _log() -> Logger:
    """Make a logger for what goes wrong inside; tracebacks without values, which may be secret."""
    processors: list[structlog.types.Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    return cast("Logger", structlog.wrap_logger(structlog.PrintLogger(sys.stderr), processors=processors))


async def _attempt(
    register: Register, wanted: Sequence[Assignment], show: Callable[[Assignment, ProbeResult], None]
) -> list[ProbeResult]:
    """Probe all, a few at a time, and show each in the order given."""
    environment = ProbeEnvironment(Outbound(egress=EgressRules(register.policy.egress)))
    attempts = ProbeRunner(environment, _log())
    slot_number = int(time() // register.policy.slot_seconds)
    room = asyncio.Semaphore(_AT_ONCE)

    async def attempt(assignment: Assignment) -> ProbeResult:
        async with room:
            return await attempts.probe(assignment, assignment.definition.timeout, assignment.turn(slot_number))

    results = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [(assignment, group.create_task(attempt(assignment))) for assignment in wanted]
            for assignment, task in tasks:
                results.append(await task)
                show(assignment, results[-1])
    finally:
        await environment.close()
    return results


def _nothing(_assignment: Assignment, _result: ProbeResult) -> None:
    """Show nothing yet."""


def _json(register: Register, origin: Origin) -> Callable[[Assignment, ProbeResult], None]:
    slot_start = int(time() // register.policy.slot_seconds) * register.policy.slot_seconds

    def show(assignment: Assignment, result: ProbeResult) -> None:
        row = measured(assignment.target, slot_start, result.observation, result.judgement, origin)
        typer.echo(measurement_to_json(row))

    return show


def _picture(wanted: Sequence[Assignment], *, at_length: bool) -> Callable[[Assignment, ProbeResult], None]:
    console = Console(highlight=False)
    ids = max((len(assignment.target.id) for assignment in wanted), default=0)

    def show(assignment: Assignment, result: ProbeResult) -> None:
        probed = Probed(assignment, result, time())
        if at_length:
            console.print(explained(probed, console.width))
            if len(wanted) > 1:
                console.rule(style="dim")
        else:
            # On a terminal one target stays one line; what reads a pipe gets all of it.
            shown = console.is_terminal
            text = line(probed, ids, narrow=shown and console.width < _NARROW)
            console.print(text, no_wrap=shown, overflow="ellipsis" if shown else None, soft_wrap=not shown)

    return show


def _summary(register: Register, results: Sequence[ProbeResult]) -> str:
    counts = Counter(result.judgement.outcome for result in results)
    parts = [f"{counts[outcome]} {outcome.name}" for outcome in sorted(counts, reverse=True)]
    absent = sum(link.absent for link in register.links.values())
    on_paper = f"; absent and not probed: {absent}" if absent else ""
    return f"{len(results)} probed: {', '.join(parts) or 'nothing'}{on_paper}"
