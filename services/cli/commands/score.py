"""``peyvand score``: the index from measurements in files; ``peyvand dump``: the streams as such files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from math import inf
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from services.cli.commands.bus import Credentials, Nats, bus_settings
from services.cli.reaching import reached
from services.cli.render.score import show
from services.cli.render.sensitivity_table import print_json, show_sensitivity
from services.cli.render.structure import structure_tables
from services.core import codec
from services.core.bus import EXCHANGES, MEASUREMENTS, Bus, StoredMessage
from services.core.errors import InputError, SettingsError
from services.core.model import IndicatorKind, Register
from services.indicator.index import Snapshot
from services.register.directory import load_register
from services.scorer.decode import columns_of, summaries_of
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

__all__ = ["dump", "score"]

Rows = Callable[[StoredMessage], Iterator[tuple[int, Callable[[], str]]]]


def _moment(text: str, timezone: str) -> float:
    """Return epoch seconds; a date or time without an offset is in ``timezone``. SettingsError when it is neither."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{text!r} is not a time such as 2026-03-01T12:00:00+03:30 or 2026-03-01") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(timezone))).timestamp()


def score(
    *,
    register: Annotated[Path, typer.Option(help="register directory that counts", metavar="DIR")],
    measurements: Annotated[
        list[Path], typer.Option(help="measurements as JSON lines; may be repeated", metavar="FILE")
    ],
    exchanges: Annotated[
        list[Path] | None, typer.Option(help="exchange summaries as JSON lines; may be repeated", metavar="FILE")
    ] = None,
    files: Annotated[list[Path] | None, typer.Argument(help="more files of measurements", metavar="FILE…")] = None,
    window: Annotated[int | None, typer.Option(min=1, help="days; the policy's default when left out")] = None,
    at: Annotated[
        str | None, typer.Option(help="count whole slots that end by then; else all measured", metavar="TIME")
    ] = None,
    sequence: Annotated[
        int | None, typer.Option(min=0, help="of a dump, count messages up to this evidence_sequence", metavar="N")
    ] = None,
    sensitivity: Annotated[
        bool,
        typer.Option("--sensitivity", help="how far choices of method move the ranks of agencies, with rank bands"),
    ] = False,
    structure: Annotated[bool, typer.Option("--structure", help="how the agencies hang together, instead")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="one Indicator (or Structure) a line, as JSON; all windows of the policy")
    ] = False,
) -> None:
    """Score measurements offline, as auditors do. Files with anything wrong in them are refused whole.

    Of dumped measurements those count that the scorer took in. With the register, as_of (--at) and evidence_sequence
    (--sequence) of a published Indicator, all of its numbers come out the same to the last bit.

    With --sensitivity: ranks and rank bands of all agencies in one window, and what moves them. --json then gives that
    window's Indicators, with rank_band set, and after them one line with the Sensitivity.
    """
    if structure and sensitivity:
        raise SettingsError("--structure and --sensitivity are two answers: ask for one at a time")
    try:
        held = load_register(register)
        policy = held.policy
        lines = read_measurements([*measurements, *(files or [])], held, timings=sensitivity)
        summaries = read_summaries(exchanges or [])
    except InputError as error:
        typer.echo(error.report(), err=True)
        raise typer.Exit(1) from error
    counted = admitted(held, lines, up_to=sequence)
    batches = counted.batches
    if counted.late or counted.early:
        typer.echo(
            f"left out as the scorer does: {counted.late} measurements too late, {counted.early} early", err=True
        )
    moment = last_end(batches, policy.slot_seconds) if at is None else _moment(at, policy.timezone)
    if moment is None:
        raise SettingsError("the files hold no measurement: say with --at when the index is to be computed")
    shown = policy.default_window if window is None else window
    windows = None if as_json and window is None and not sensitivity else (shown,)
    snapshot = score_batches(held, batches, at=moment, windows=windows, evidence_sequence=counted.sequence)
    if structure:
        _show_structure(held, snapshot, as_json=as_json)
    elif sensitivity:
        found = rankings(held, batches, summaries, at=moment, window=shown)
        if as_json:
            print_json(snapshot, found)
        else:
            show_sensitivity(held, snapshot, found)
    elif as_json:
        for row in (row for kind in IndicatorKind for days in snapshot.windows for row in snapshot.rows(kind, days)):
            typer.echo(codec.indicator_to_json(row))
    else:
        show(held, snapshot, volumes(held, summaries, at=moment, window_days=shown))


def _show_structure(register: Register, snapshot: Snapshot, *, as_json: bool) -> None:
    for one in network(register, snapshot):
        if as_json:
            typer.echo(codec.structure_to_json(one))
        else:
            zone = ZoneInfo(register.policy.timezone)
            Console(highlight=False).print(structure_tables(codec.structure_to_message(one), zone))


def dump(
    *,
    what: Annotated[str, typer.Argument(help="measurements or exchanges", metavar="measurements|exchanges")],
    since: Annotated[
        str | None, typer.Option("--from", help="only slots that start then or later", metavar="TIME")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="only slots that start before then", metavar="TIME")] = None,
    nats: Nats = "",
    credentials: Credentials = "",
) -> None:
    """Print a stream as JSON lines, from its first message to what is its last now; `peyvand score` reads them."""
    dumped: dict[str, tuple[str, Rows]] = {
        "measurements": (MEASUREMENTS, _measurements),
        "exchanges": (EXCHANGES, _exchanges),
    }
    if what not in dumped:
        raise SettingsError(f"there is no {what!r} to dump: say measurements or exchanges")
    stream, rows = dumped[what]
    settings = bus_settings(nats, credentials)
    begin = -inf if since is None else _moment(since, "UTC")
    end = inf if until is None else _moment(until, "UTC")

    async def run() -> None:
        async with reached(settings, role="dump", name="dump") as bus:
            async for message in _messages(bus, stream):
                try:
                    for slot_start, line in rows(message):
                        if begin <= slot_start < end:
                            typer.echo(line())
                except ValueError as error:
                    typer.echo(f"message {message.sequence} of {stream} is left out: {error}", err=True)

    asyncio.run(run())


async def _messages(bus: Bus, stream: str) -> AsyncIterator[StoredMessage]:
    """Yield every message from the first kept to the one that is the last now."""
    state = await bus.stream_state(stream)
    reached = state.first - 1
    while reached < state.last:
        messages = await bus.read(stream, reached + 1)
        if not messages:
            return
        for message in messages:
            if message.sequence <= state.last:
                yield message
        reached = messages[-1].sequence


def _measurements(message: StoredMessage) -> Iterator[tuple[int, Callable[[], str]]]:
    columns_of(message)  # refuses what the scorer refuses
    for row in codec.decode_measurements(message.data):
        dumped = replace(row, stored=message.time, sequence=message.sequence)
        yield row.slot_start, partial(codec.measurement_to_json, dumped)


def _exchanges(message: StoredMessage) -> Iterator[tuple[int, Callable[[], str]]]:
    for row in summaries_of(message)[1]:
        yield row.slot_start, partial(codec.summary_to_json, row)
