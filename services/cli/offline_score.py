"""Scores measurements in files, for ``peyvand score``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import typer

from services.cli.render.format import new_console, parse_moment
from services.cli.render.score import score_tables, sensitivity_json, sensitivity_tables
from services.cli.render.structure import structure_tables
from services.core import codec
from services.core.errors import SettingsError
from services.core.model import IndicatorKind, Register
from services.indicator.index import Snapshot
from services.register.directory import load_register
from services.scorer.offline import (
    admitted,
    last_end,
    network,
    rankings,
    read_measurements,
    read_summaries,
    score_batches,
    volumes,
)


def run(
    directory: Path,
    measurements: Sequence[Path],
    exchanges: Sequence[Path],
    *,
    window: int | None,
    at: str,
    sequence: int | None,
    structure: bool,
    sensitivity: bool,
    as_json: bool,
) -> None:
    """Print the index, or the structure or sensitivity instead; as JSON over all windows unless one is given.

    ``at`` "" stands for the end of the newest slot measured. Raises InputError with every fault of the files, and
    SettingsError when there is no moment to score.
    """
    register = load_register(directory)
    policy, console = register.policy, new_console()
    lines = read_measurements(measurements, register, timings=sensitivity)
    summaries = read_summaries(exchanges)
    counted = admitted(register, lines, up_to=sequence)
    if counted.late or counted.early:
        left_out = f"{counted.late} measurements too late, {counted.early} early"
        typer.echo(f"left out as the scorer does: {left_out}", err=True)
    moment = parse_moment(at, ZoneInfo(policy.timezone))
    if moment is None:
        moment = last_end(counted.batches, policy.slot_seconds)
    if moment is None:
        raise SettingsError("the files hold no measurement: give the time of the index with --at")
    days = policy.default_window if window is None else window
    windows = None if as_json and window is None and not sensitivity else (days,)
    batches = counted.batches
    snapshot = score_batches(register, batches, at=moment, windows=windows, evidence_sequence=counted.sequence)
    if structure:
        _print_structures(register, snapshot, as_json=as_json)
    elif sensitivity:
        ranked = rankings(register, batches, summaries, at=moment, window=days)
        if as_json:
            typer.echo("\n".join(sensitivity_json(snapshot, ranked)))
        else:
            console.print(sensitivity_tables(register, snapshot, ranked))
    elif as_json:
        for row in (row for kind in IndicatorKind for days in snapshot.windows for row in snapshot.rows(kind, days)):
            typer.echo(codec.indicator_to_json(row))
    else:
        exchanged = volumes(register, summaries, at=moment, window_days=days)
        console.print(score_tables(register, snapshot, exchanged))


def _print_structures(register: Register, snapshot: Snapshot, *, as_json: bool) -> None:
    for structure in network(register, snapshot):
        if as_json:
            typer.echo(codec.structure_to_json(structure))
        else:
            zone = ZoneInfo(register.policy.timezone)
            new_console().print(structure_tables(codec.structure_to_message(structure), zone))
