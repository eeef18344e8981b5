"""Evidence in files: streams of the bus as JSON lines, for ``peyvand dump``, and the scores of such files, for ``peyvand score``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC
from functools import partial
from math import inf
from pathlib import Path
from zoneinfo import ZoneInfo

import typer

from services.cli.connections import open_bus
from services.cli.render.format import new_console, parse_moment
from services.cli.render.score import score_tables, sensitivity_json, sensitivity_tables
from services.cli.render.structure import structure_tables
from services.core import codec
from services.core.bus import EXCHANGES, MEASUREMENTS, Bus, StoredMessage, columns_of, summaries_of
from services.core.errors import SettingsError
from services.core.model import IndicatorKind, Register
from services.core.settings import Settings
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

_Rows = Iterator[tuple[int, Callable[[], str]]]
"""The start of each row's slot, and what returns the row as a line of JSON."""


async def print_stream(what: str, settings: Settings, *, since: str, until: str) -> None:
    """Print the rows of a stream whose slots start in [since, until), days or times in UTC; "" is open.

    A message that the scorer would refuse is left out, with a sentence on stderr. Raises SettingsError and BusError.
    """
    if what not in _STREAMS:
        raise SettingsError(f"there is no {what!r} to dump: name measurements or exchanges")
    stream, rows = _STREAMS[what]
    begin, end = parse_moment(since, UTC) or -inf, parse_moment(until, UTC)
    async with open_bus(settings, role="dump", name="dump") as bus:
        async for message in _messages(bus, stream):
            try:
                for slot_start, line in rows(message):
                    if begin <= slot_start < (inf if end is None else end):
                        typer.echo(line())
            except ValueError as error:
                typer.echo(f"message {message.sequence} of {stream} is left out: {error}", err=True)


async def _messages(bus: Bus, stream: str) -> AsyncIterator[StoredMessage]:
    """Yield every message from the first kept to the one that is the last now."""
    state = await bus.stream_state(stream)
    read_to = state.first - 1
    while read_to < state.last:
        messages = await bus.read(stream, read_to + 1)
        if not messages:
            return
        for message in messages:
            if message.sequence <= state.last:
                yield message
        read_to = messages[-1].sequence


def _measurements(message: StoredMessage) -> _Rows:
    columns_of(message)  # raises ValueError where the scorer refuses the message
    for row in codec.decode_measurements(message.data):
        stamped = replace(row, stored=message.time, sequence=message.sequence)
        yield row.slot_start, partial(codec.measurement_to_json, stamped)


def _exchanges(message: StoredMessage) -> _Rows:
    for row in summaries_of(message)[1]:
        yield row.slot_start, partial(codec.summary_to_json, row)


_STREAMS: dict[str, tuple[str, Callable[[StoredMessage], _Rows]]] = {
    "measurements": (MEASUREMENTS, _measurements),
    "exchanges": (EXCHANGES, _exchanges),
}


def score_files(
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
    if counted.late or counted.early or counted.misplaced:
        left_out = (
            f"{counted.late} measurements too late, {counted.early} early, {counted.misplaced} outside their slot"
        )
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
