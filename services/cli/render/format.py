"""Reads times for every command, and writes numbers, times, tables and JSON."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Protocol

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.core.days import datetime_of
from services.core.errors import SettingsError
from services.core.model import MOMENTS, in_language, round_down, stated_decimals
from services.core.texts import plural

_BARS = "▁▂▃▄▅▆▇█"


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"


def known_percent(share: float) -> str:
    """Return a known share as a percentage with one decimal, rounded down: what misses a limit never looks like it."""
    return percent(round_down(share, 1))


def unknown_percent(known_share: float) -> str:
    """Return what is not known as a percentage with one decimal, the rest of what ``known_percent`` writes."""
    return percent(1 - round_down(known_share, 1))


def stated_percent(share: float) -> str:
    """Return a limit as a percentage with all its decimals."""
    return f"{100 * share:.{stated_decimals(share)}f} %"


def share_range(lower: float, upper: float) -> str:
    """Return two shares as a range of percentages."""
    return f"{100 * lower:.1f}-{100 * upper:.1f} %"


def points(share: float) -> str:
    """Return a part of an index in percentage points with two significant digits, as many links have small parts."""
    return f"{Decimal(f'{100 * share:.1e}'):f} pp"


def point(indicator: indicator_pb2.Indicator) -> str:
    """Return the point of an indicator, or that there is none to publish."""
    return percent(indicator.point) if indicator.HasField("point") else "not publishable"


def bounds(indicator: indicator_pb2.Indicator) -> str:
    """Return the bounds L and U of an indicator."""
    return share_range(indicator.lower, indicator.upper)


def stage_name(stage: str) -> str:
    """Return a stage in words."""
    return stage.replace("_", " ")


def gain(cost: indicator_service_pb2.LinkCost, estimate: float) -> str:
    """Return what the index, now at ``estimate``, gains if this link alone is fixed."""
    return points(max(0.0, cost.index_if_fixed - estimate))


def signed_points(difference: float) -> str:
    """Return a difference of shares in percentage points, with its sign; a rounded zero has none below."""
    return f"{100 * difference:+z.1f} pp"


def when(moment: Timestamp, zone: tzinfo) -> str:
    """Return a moment as text in ``zone``."""
    return f"{datetime.fromtimestamp(moment.seconds, zone):%Y-%m-%d %H:%M:%S}"


def window(days: int, as_of: Timestamp, zone: tzinfo) -> str:
    """Return the days over which something counts, fewer at first, with the timezone of its times."""
    return f"window of {plural(days, 'day')} as of {when(as_of, zone)} {zone}"


def mean_cells(values: Sequence[float | None], width: int) -> list[float | None]:
    """Return at most ``width`` values, each the mean of consecutive ones; None where all of them are None."""
    if len(values) <= width:
        return list(values)
    edges = [round(cell * len(values) / width) for cell in range(width + 1)]
    parts = [[value for value in values[start:end] if value is not None] for start, end in pairwise(edges)]
    return [sum(part) / len(part) if part else None for part in parts]


def sparkline(values: Sequence[float | None]) -> str:
    """Return a bar per value, scaled between the lowest and the highest; a blank for None."""
    present = [value for value in values if value is not None]
    low, high = min(present, default=0.0), max(present, default=0.0)
    if high == low:
        return "".join(" " if value is None else _BARS[3] for value in values)
    top = len(_BARS) - 1
    return "".join(" " if value is None else _BARS[round((value - low) / (high - low) * top)] for value in values)


class Wrapped:
    """An id, wrapped after hyphens where its column is too narrow for it; ``more`` is a dim line below."""

    def __init__(self, identifier: str, more: str = "", style: str = "") -> None:
        self._identifier, self._more, self._style = identifier, more, style

    def __rich_measure__(self, _console: Console, options: ConsoleOptions) -> Measurement:
        widest = max((len(part) + 1 for part in self._identifier.split("-")), default=1)
        longest = max(len(self._identifier), len(self._more))
        return Measurement(min(widest, options.max_width), min(longest, options.max_width))

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        for line in textwrap.wrap(self._identifier, options.max_width) or [""]:
            yield Text(line, self._style)
        if self._more:
            yield Text(self._more, "dim")


def word(heading: str = "") -> Column:
    """Return a column that is never wrapped."""
    return Column(heading, no_wrap=True)


def text(heading: str = "", *, ratio: int | None = None) -> Column:
    """Return a column that is folded where it is too long."""
    return Column(heading, overflow="fold", ratio=ratio)


def number(heading: str = "") -> Column:
    """Return a right-justified column that is never wrapped."""
    return Column(heading, justify="right", no_wrap=True)


def new_table(title: str | None, *columns: Column, gap: int = 2, footer: bool = False) -> Table:
    """Return a table without lines between columns, ``gap`` apart, so that ids and numbers fit side by side in 80 columns."""
    return Table(
        *columns,
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, gap - 1, 0, 0),
        show_footer=footer,
    )


def parse_moment(text: str, zone: tzinfo) -> float | None:
    """Return a day or time in ISO 8601 as epoch seconds, in ``zone`` unless it has an offset; None for "".

    Raises SettingsError when it is neither, or of a year before 1970 or after 2199.
    """
    if not text:
        return None
    try:
        moment = datetime_of(text)
    except ValueError as error:
        raise SettingsError(f"`{text}` is neither a day (2026-03-21) nor a time (2026-03-21T08:00+03:30)") from error
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
    if int(seconds) not in MOMENTS:
        raise SettingsError(f"`{text}` is not in the years 1970 to 2199: write Gregorian years, not Jalali ones")
    return seconds


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return the end of a sentence about an unknown word: the known words most like it. Empty when there are none."""
    similar = get_close_matches(word, known, 3)
    return f" (did you mean {' or '.join(f'`{one}`' for one in similar)}?)" if similar else ""


class _Named(Protocol):
    @property
    def name_en(self) -> str: ...
    @property
    def name_fa(self) -> str: ...


def name_of(entity: _Named) -> str:
    """Return a name in Persian if the environment is Persian, else in English; in the other language if missing."""
    variables = (os.environ.get(variable) for variable in ("LC_ALL", "LC_MESSAGES", "LANG"))
    language = next(filter(None, variables), "")
    return in_language(language[:2], entity.name_en, entity.name_fa)


def named_pair(names: Mapping[str, str], consumer: str, provider: str) -> str:
    """Return who asks whom by name, by id where an agency has none; empty if neither has one."""
    known = {consumer, provider} & names.keys()
    return f"{names.get(consumer, consumer)} → {names.get(provider, provider)}" if known else ""


def new_console() -> Console:
    """Return a console on stdout that colours nothing by itself, and reads no markup in names from outside."""
    return Console(highlight=False, markup=False)


async def print_each(messages: AsyncIterator[Message]) -> None:
    """Print messages as JSON, one per line, as they arrive."""
    async for message in messages:
        print_message(message)


def print_message(message: Message, **more: Message | None) -> None:
    """Print a message as one line of JSON, its fields named as in the contract.

    ``more`` are fields beside its own; those that are None are left out.
    """
    fields = _fields(message) | {name: _fields(other) for name, other in more.items() if other is not None}
    typer.echo(json.dumps(fields, ensure_ascii=False))


def _fields(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
