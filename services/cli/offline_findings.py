"""Finds what is unusual in counts of a CSV file, for ``peyvand findings COUNTS.csv``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Final

import numpy as np
import typer

from services.cli.render.findings import findings_table
from services.cli.render.format import new_console, print_message
from services.core.codec import finding_to_message
from services.core.errors import InputError, SettingsError
from services.core.model import Finding
from services.indicator.findings import Detector, DetectorSettings, FlowCounts, Topology, find_all
from services.register.faults import FaultList, Location
from services.register.reading import (
    read_duration,
    read_flag,
    read_moment,
    read_name,
    read_table,
    read_whole,
    read_zone,
)

DAY_SECONDS: Final = 86_400
DAYS_A_WEEK: Final = 7

MOST_STEPS: Final = 1_000_000
"""The most steps between the first time and the last: two years of minutes, or a century of hours."""

MOST_CELLS: Final = 100_000_000
"""The most counts of all streams together, of one step each: some gigabytes."""

_ALL: Final = "all streams"
_read_count = partial(read_whole, most=10**15)


@dataclass(frozen=True, slots=True)
class _Count:
    """A row of the file; ``start`` is that of its step, of a day as if the zone were UTC."""

    start: int
    stream: str
    count: int
    failed: int
    expected_zero: bool


def print_findings(file: Path, *, step: str, timezone: str, budget: float, as_json: bool) -> None:
    """Print what is unusual in the counts of a file.

    Raises InputError with every fault of the file, and SettingsError for a step that does not divide a day, an unknown
    zone, or a budget that is not a number.
    """
    if not isfinite(budget):
        raise SettingsError(f"--budget {budget} is no number of findings: give one such as 1")
    step_seconds = _step_seconds(step)
    try:
        zone = read_zone(timezone)
    except ValueError as error:
        raise SettingsError(f"--timezone: {error}") from error
    in_days = step_seconds == DAY_SECONDS
    read = _read(file, step_seconds, zone)
    counts, topology, failures = _arrange(read, step_seconds, UTC if in_days else zone)
    settings = DetectorSettings(
        false_findings_per_week=budget, step_seconds=step_seconds, week_steps=DAYS_A_WEEK * DAY_SECONDS // step_seconds
    )
    detector = Detector(topology, settings)
    found = find_all(detector, counts)
    if in_days:
        found = [_in_zone(finding, zone) for finding in found]
    if as_json:
        for finding in found:
            print_message(finding_to_message(finding))
    else:
        new_console().print(findings_table(found, zone))
    streams, steps = len(topology.flows), counts.count.shape[1]
    judged = "" if failures else "; no row has `failed` above 0, so failures were not looked for"
    typer.echo(
        f"{streams} streams over {steps} steps; {budget:g} false findings a week are to be expected{judged}", err=True
    )
    for sentence in _too_quiet(detector, topology.flows):
        typer.echo(sentence, err=True)


def _too_quiet(detector: Detector, streams: Sequence[str]) -> Iterator[str]:
    """Yield sentences on what cannot be said of quiet streams."""
    days = {stream: detector.quiet(number) for number, stream in enumerate(streams)}
    if unknown := sum(one is None for one in days.values()):
        yield f"{unknown} of {len(streams)} streams are too short or too quiet to be judged"
    if slow := {stream: one for stream, one in days.items() if one is not None and one > DAYS_A_WEEK}:
        quietest = max(slow, key=lambda stream: slow[stream])
        yield f"the silence of {len(slow)} takes more than a week to be sure of: that of {quietest} {slow[quietest]:.0f} days"


def _step_seconds(written: str) -> int:
    try:
        seconds = read_duration(written)
    except ValueError as error:
        raise SettingsError(f"--step: {error}") from error
    if seconds % 1 or DAY_SECONDS % seconds:
        raise SettingsError(f"--step {written} does not divide a day: give a step such as 5m, 1h or 1d")
    return int(seconds)


def _read(file: Path, step_seconds: int, zone: tzinfo) -> list[_Count]:
    faults = FaultList()
    table = read_table(file, faults, required=("time", "stream", "count"), optional=("expected_zero", "failed"))
    read: list[_Count] = []
    seen: dict[tuple[int, str], int] = {}
    ahead: int | None = None  # seconds ahead of UTC: an hour of the zone may begin at half past one of UTC
    for row in table.rows:
        moment = row.need("time", partial(read_moment, zone=zone), None)
        stream, count = row.need("stream", read_name, ""), row.need("count", _read_count, None)
        failed, expected_zero = row.read("failed", _read_count, 0), row.read("expected_zero", read_flag, default=False)
        if moment is None or not stream or count is None:
            continue
        moment = moment.astimezone(zone)
        if step_seconds == DAY_SECONDS:  # with 23 or 25 hours where the clock of the zone changes
            moment = moment.replace(tzinfo=UTC)
        if ahead is None:
            ahead = int((moment.utcoffset() or timedelta()).total_seconds())
        start = (int(moment.timestamp()) + ahead) // step_seconds * step_seconds - ahead
        if failed > count:
            row.fault("failed", f"{failed} of {count} cannot have failed")
        if (start, stream) in seen:
            row.fault("time", f"`{stream}` has this step already in line {seen[start, stream]}")
        seen.setdefault((start, stream), row.location.line)
        read.append(_Count(start, stream, count, failed, expected_zero))
    if not read and not faults:
        faults.add(Location(str(file)), "the file has no counts")
    if faults:
        raise InputError(str(file), faults)
    return read


def _arrange(read: Sequence[_Count], step_seconds: int, zone: tzinfo) -> tuple[FlowCounts, Topology, bool]:
    """Arrange rows as arrays; a step without rows was not read, and in others a stream without a row counted none."""
    first = min(one.start for one in read)
    steps = (max(one.start for one in read) - first) // step_seconds + 1
    streams = sorted({one.stream for one in read})
    if steps > MOST_STEPS or steps * len(streams) > MOST_CELLS:
        raise SettingsError(
            f"{steps:,} steps of {len(streams):,} streams are too many to judge at once: split the file, or give a longer --step"
        )
    position = {stream: number for number, stream in enumerate(streams)}
    count, failed = (np.zeros((len(streams), steps), np.int64) for _ in range(2))
    left_out = np.zeros((len(streams), steps), np.bool_)
    rows = np.zeros(steps, np.bool_)
    for one in read:
        cell = position[one.stream], (one.start - first) // step_seconds
        count[cell], failed[cell], left_out[cell] = one.count, one.failed, one.expected_zero
        rows[cell[1]] = True
    nothing = np.zeros_like(count)
    counts = FlowCounts(
        start=first,
        week_step=_week_steps(first, steps, step_seconds, zone),
        kind=np.zeros(steps, np.int64),
        read=rows,
        count=count,
        bus_failures=nothing,
        provider_failures=failed,
        repeats=nothing,
        left_out=left_out,
    )
    names, alone = tuple(streams), (_ALL,) * len(streams)
    return counts, Topology(names, bus=alone, service=names, provider=names, consumer=names), bool(failed.any())


def _week_steps(first: int, steps: int, step_seconds: int, zone: tzinfo) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the place of each step in the local week."""
    starts = range(first, first + steps * step_seconds, step_seconds)
    local = [datetime.fromtimestamp(start, zone) for start in starts]
    seconds = [((one.weekday() * 24 + one.hour) * 60 + one.minute) * 60 + one.second for one in local]
    return np.array(seconds, np.int64) // step_seconds


def _in_zone(finding: Finding, zone: tzinfo) -> Finding:
    """Return a finding whose times are days of a zone, written as if it were UTC, with the moments that they stand for."""

    def moment(start: int) -> int:
        return int(datetime.fromtimestamp(start, UTC).replace(tzinfo=zone).timestamp())

    ended_at = None if finding.ended_at is None else moment(finding.ended_at)
    return replace(finding, since=moment(finding.since), found_at=moment(finding.found_at), ended_at=ended_at)
