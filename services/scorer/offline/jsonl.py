"""Reads measurements and exchange summaries as JSON lines; any fault refuses all files (docs/commands.md)."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from services.core.codec import measurement_from_json, summary_from_json, to_micros
from services.core.errors import Fault, InputError
from services.core.model import MOMENTS, ExchangeSummary, Measurement, MeasurementColumns, Register, Target
from services.indicator.admission import probe_times

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class MeasurementLines:
    """The n rows of one vantage, with their positions in the stream if they come from a dump.

    Without a position ``sequence`` (n,) is 0 and ``stored`` (n,), in epoch seconds, is infinite.
    """

    columns: MeasurementColumns
    stored: NDArray[np.float64]
    sequence: NDArray[np.int64]


_ARRAYS = {"target": "q", "slot_start": "q", "time": "q", "outcome": "B", "reason": "B", "stored": "d", "sequence": "q"}
_TIMINGS = {"latency": "q", "data_age": "q"}


class _VantageRows:
    """The rows of one vantage while they are read, in a few machine words each."""

    def __init__(self, *, timings: bool) -> None:
        self._targets: dict[Target, int] = {}
        self._timings = timings
        codes = _ARRAYS | (_TIMINGS if timings else {})
        self._arrays: dict[str, array[Any]] = {name: array(code) for name, code in codes.items()}

    def add(self, row: Measurement) -> None:
        values: dict[str, float] = {
            "target": self._targets.setdefault(row.target, len(self._targets)),
            "slot_start": row.slot_start,
            "time": to_micros(row.time),
            "outcome": row.outcome,
            "reason": row.reason,
            "stored": inf if row.stored is None else row.stored,
            "sequence": row.sequence,
        }
        if self._timings:
            values |= {"latency": to_micros(row.latency), "data_age": to_micros(row.data_age)}
        for name, value in values.items():
            self._arrays[name].append(value)

    def lines(self, vantage: str) -> MeasurementLines:
        arrays: dict[str, Any] = {name: np.array(values) for name, values in self._arrays.items()}
        stored, sequence = arrays.pop("stored"), arrays.pop("sequence")
        return MeasurementLines(MeasurementColumns(vantage, tuple(self._targets), **arrays), stored, sequence)


def read_measurements(files: Sequence[Path], register: Register, *, timings: bool = False) -> list[MeasurementLines]:
    """Return the measurements of all files, one set of lines per vantage, with latencies and ages if ``timings``.

    Raises InputError with every fault at file and line. A line is a fault if it is unreadable or incomplete, names a
    link, endpoint or vantage that the register lacks, is not at the start of a slot, or has a reason of another
    outcome. Lines of a dump may name entities of another version of the register, which the scorer ignores in the
    stream too.
    """
    faults: list[Fault] = []
    rows: dict[str, _VantageRows] = {}
    vantages = frozenset(vantage.id for vantage in register.policy.vantages)
    for file in files:
        for number, row in _rows(file, measurement_from_json, faults):
            reasons = list(_row_faults(row, register, vantages))
            faults += (Fault(str(file), number, 0, reason) for reason in reasons)
            if not reasons:
                rows.setdefault(row.vantage, _VantageRows(timings=timings)).add(row)
    if faults:
        raise InputError(_named("measurements", files), faults)
    return [rows[vantage].lines(vantage) for vantage in sorted(rows)]


def read_summaries(files: Sequence[Path]) -> list[ExchangeSummary]:
    """Return the exchange summaries of all files. Raises InputError with every fault at file and line."""
    faults: list[Fault] = []
    summaries = [row for file in files for _, row in _rows(file, summary_from_json, faults)]
    if faults:
        raise InputError(_named("exchanges", files), faults)
    return summaries


def _row_faults(row: Measurement, register: Register, vantages: frozenset[str]) -> Iterator[str]:
    """Yield what is wrong with a measurement of one of these ``vantages`` of a register."""
    if row.sequence:
        if row.stored is None:
            yield "stored: a line with a sequence says when the stream stored it"
        elif int(row.stored) not in MOMENTS:
            yield "stored: not in the years 1970 to 2199"
        if row.sequence > np.iinfo(np.int64).max:
            yield "sequence: beyond what a stream can count"
        return
    kind = "endpoint" if row.target.endpoint else "link"
    if row.target.id not in (register.endpoints if row.target.endpoint else register.links):
        yield f"{kind}: the register has no {kind} {row.target.id!r}"
    if row.vantage not in vantages:
        yield f"vantage: the register has no vantage {row.vantage!r}"
    yield from _time_faults(row, register.policy.slot_seconds)
    if row.reason.outcome is not row.outcome:
        yield f"reason: {row.reason.name} belongs to outcome {row.reason.outcome.name}, not to {row.outcome.name}"


def _time_faults(row: Measurement, slot_seconds: int) -> Iterator[str]:
    first, last = probe_times(slot_seconds)
    if row.slot_start not in MOMENTS:
        yield "slot_start: not in the years 1970 to 2199"
    elif row.slot_start % slot_seconds:
        yield f"slot_start: no slot of {slot_seconds} s begins there"
    elif row.time is not None and not first <= row.time - row.slot_start <= last:
        yield "time: neither in its slot nor in the longest timeout after it"


def _rows(file: Path, parse: Callable[[str], T], faults: list[Fault]) -> Iterator[tuple[int, T]]:
    """Yield the number and the row of each line; add faults to ``faults``. Empty lines are skipped."""
    name = str(file)
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    text = line.rstrip(b"\r\n").decode()
                    if not isinstance(orjson.loads(text), dict):
                        faults.append(Fault(name, number, 0, "not a JSON object"))
                        continue
                    row = parse(text)
                except UnicodeDecodeError as error:
                    faults.append(Fault(name, number, error.start + 1, "not UTF-8"))
                except orjson.JSONDecodeError as error:
                    faults.append(Fault(name, number, error.colno, f"not JSON: {error.msg}"))
                except ValueError as error:
                    faults.append(Fault(name, number, 0, str(error).splitlines()[0]))
                else:
                    yield number, row
    except OSError as error:
        faults.append(Fault(name, 0, 0, f"the file cannot be read: {error.strerror}"))


def _named(what: str, files: Sequence[Path]) -> str:
    return f"{what} {', '.join(map(str, files))}"
