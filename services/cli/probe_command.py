"""``peyvand probe``: probes each link and endpoint of a register once, without a bus (PROBING.md)."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import Annotated, cast

import structlog
import typer
import uvloop
from rich.console import Console
from rich.text import Text

from services.core.codec import measurement_to_json
from services.core.errors import SettingsError
from services.core.evidence import Measurement
from services.core.log import Logger
from services.core.model import Register
from services.core.outcome import Outcome
from services.prober.assignment import Assignment, assignments
from services.prober.attempt import Attempts
from services.prober.egress import EgressRules
from services.prober.measure import Origin, measurement
from services.prober.network import Network
from services.register.load import load

__all__ = ["probe"]

# Enough to be quick, too few for one probe to slow another.
_AT_ONCE = 50
_STYLES = {Outcome.OK: "green", Outcome.UNKNOWN: "dim", Outcome.LATE: "yellow", Outcome.STALE: "yellow"}


def probe(
    directory: Annotated[Path, typer.Argument(help="Register directory.", metavar="DIR")],
    link: Annotated[list[str] | None, typer.Option(help="Only this link or endpoint; may be repeated.")] = None,
    vantage: Annotated[str | None, typer.Option(help="Only what this vantage probes.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One Measurement a line, as JSON.")] = False,
) -> None:
    """Probe each link and endpoint once and say what was seen; no bus is needed."""
    register = load(directory)
    chosen = _chosen(register, link or (), vantage)
    origin = Origin(
        vantage or next((known.id for known in register.policy.vantages), ""),
        "probe",
        register.register_version,
        register.probe_version,
    )
    uvloop.run(_show(register, chosen, origin, as_json=as_json))


def _chosen(register: Register, ids: Sequence[str], vantage: str | None) -> list[Assignment]:
    """Choose what to probe. Raises SettingsError naming every id that cannot be."""
    known = {known.id for known in register.policy.vantages}
    if vantage is not None and vantage not in known:
        raise SettingsError(
            f"--vantage {vantage} is not in the register's policy, which has: {', '.join(sorted(known))}"
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
    return f"{name}: the register has no such link or endpoint"


def _log() -> Logger:
    """Make a logger for what goes wrong inside; tracebacks without values, which may be secret."""
    processors: list[structlog.types.Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    return cast("Logger", structlog.wrap_logger(structlog.PrintLogger(sys.stderr), processors=processors))


async def _show(register: Register, chosen: Sequence[Assignment], origin: Origin, *, as_json: bool) -> None:
    """Probe all, a few at a time, and tell of each in the order given."""
    network = Network(egress=EgressRules(register.policy.egress))
    log = _log()
    attempts = Attempts(network, log)
    room = asyncio.Semaphore(_AT_ONCE)
    slot_start = int(time() // register.policy.slot_seconds) * register.policy.slot_seconds

    async def attempt(assignment: Assignment) -> Measurement:
        async with room:
            result = await attempts.probe(assignment, assignment.definition.timeout)
        return measurement(assignment.target, slot_start, result.observation, result.judgement, origin)

    tell = _tell_json if as_json else _Teller(chosen).tell
    rows = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [(assignment, group.create_task(attempt(assignment))) for assignment in chosen]
            for assignment, task in tasks:
                rows.append(await task)
                tell(assignment, rows[-1])
    finally:
        await network.close()
    if not as_json:
        typer.echo(_summary(register, rows))


def _summary(register: Register, rows: Sequence[Measurement]) -> str:
    counts = Counter(row.outcome for row in rows)
    parts = [f"{counts[outcome]} {outcome.name}" for outcome in sorted(counts, reverse=True)]
    absent = sum(link.absent for link in register.links.values())
    on_paper = f"; absent and not probed: {absent}" if absent else ""
    return f"{len(rows)} probed: {', '.join(parts) or 'nothing'}{on_paper}"


def _tell_json(_assignment: Assignment, row: Measurement) -> None:
    typer.echo(measurement_to_json(row))


class _Teller:
    """Tells a person about one target a line: id, outcome, reason, latency, who asks whom, detail."""

    def __init__(self, chosen: Sequence[Assignment]) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._ids = max((len(assignment.target.id) for assignment in chosen), default=0)

    def tell(self, assignment: Assignment, row: Measurement) -> None:
        """Print one line."""
        reason = "" if row.outcome is Outcome.OK else row.reason.name
        latency = "-" if row.latency is None else f"{row.latency * 1000:.1f} ms"
        who = "endpoint" if row.target.endpoint else f"{assignment.consumer} asks {assignment.provider}"
        detail = f": {row.detail}" if row.detail else ""
        line = Text(f"{row.target.id:<{self._ids}}  ")
        line.append(f"{row.outcome.name:<13}", style=_STYLES.get(row.outcome, "red"))
        line.append(f"  {reason:<25}  {latency:>10}  {who}{detail}")
        line.rstrip()
        self._console.print(line)
