"""Prints streams of the bus as JSON lines, for ``peyvand dump``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC
from functools import partial
from math import inf

import typer

from services.cli.connections import open_bus
from services.cli.render.format import parse_moment
from services.core import codec
from services.core.bus import EXCHANGES, MEASUREMENTS, Bus, StoredMessage, columns_of, summaries_of
from services.core.errors import BusError, SettingsError
from services.core.settings import Settings

_Rows = Iterator[tuple[int, Callable[[], str]]]
"""The start of each row's slot, and a function that returns the row as a line of JSON."""


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
    """Yield every message from the first kept one to the current last one.

    Raises BusError when one of them is not returned although it is not gone.
    """
    state = await bus.stream_state(stream)
    read_to = state.first - 1
    while read_to < state.last:
        messages = await bus.read(stream, read_to + 1)
        if not messages:
            await _check_gone(bus, stream, read_to + 1, state.last)
            return
        for message in messages:
            if message.sequence <= state.last:
                yield message
        read_to = messages[-1].sequence


async def _check_gone(bus: Bus, stream: str, first: int, last: int) -> None:
    """Raise BusError unless each message from ``first`` to ``last`` expired or was deleted."""
    first = max(first, (await bus.stream_state(stream)).first)
    if first <= last and not await bus.were_deleted(stream, first, last):
        raise BusError(f"reading stream {stream} ended before message {first}; the last is {last}")


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
