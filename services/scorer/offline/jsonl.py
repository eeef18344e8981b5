"""Reads measurements and exchange summaries as JSON lines. A fault refuses all files, with every fault listed (docs/commands.md)."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from services.core.codec import measurement_from_json, summary_from_json, to_micros
from services.core.errors import Fault, InputError
from services.core.model import ExchangeSummary, Measurement, MeasurementColumns, Register, Target

__all__ = ["MeasurementLines", "read_measurements", "read_summaries"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class MeasurementLines:
    """The n rows of one vantage, with their positions in the stream if they come from a dump.

    Without a position ``sequence`` (n,) is 0 and ``stored`` (n,), in epoch seconds, is infinite.
    """

    columns: MeasurementColumns
    stored: NDArray[np.float64]
    sequence: NDArray[np.int64]


@dataclass(slots=True)
class _Columns:
    """The rows of one vantage while they are read, in a few machine words each."""

    targets: dict[Target, int] = field(default_factory=dict)
    target: array[int] = field(default_factory=lambda: array("q"))
    slot_start: array[int] = field(default_factory=lambda: array("q"))
    time: array[int] = field(default_factory=lambda: array("q"))
    outcome: array[int] = field(default_factory=lambda: array("B"))
    reason: array[int] = field(default_factory=lambda: array("B"))
    latency: array[int] = field(default_factory=lambda: array("q"))
    data_age: array[int] = field(default_factory=lambda: array("q"))
    stored: array[float] = field(default_factory=lambda: array("d"))
    sequence: array[int] = field(default_factory=lambda: array("q"))

    def add(self, row: Measurement, *, timings: bool) -> None:
        self.target.append(self.targets.setdefault(row.target, len(self.targets)))
        self.slot_start.append(row.slot_start)
        self.time.append(to_micros(row.time))
        self.outcome.append(row.outcome)
        self.reason.append(row.reason)
        self.stored.append(inf if row.stored is None else row.stored)
        self.sequence.append(row.sequence)
        if timings:
            self.latency.append(to_micros(row.latency))
            self.data_age.append(to_micros(row.data_age))

    def lines(self, vantage: str, *, timings: bool) -> MeasurementLines:
        columns = MeasurementColumns(
            vantage=vantage,
            targets=tuple(self.targets),
            target=np.asarray(self.target, np.int64),
            slot_start=np.asarray(self.slot_start, np.int64),
            time=np.asarray(self.time, np.int64),
            outcome=np.asarray(self.outcome, np.uint8),
            reason=np.asarray(self.reason, np.uint8),
            latency=np.asarray(self.latency, np.int64) if timings else None,
            data_age=np.asarray(self.data_age, np.int64) if timings else None,
        )
        return MeasurementLines(columns, np.array(self.stored, np.float64), np.array(self.sequence, np.int64))


def read_measurements(files: Sequence[Path], register: Register, *, timings: bool = False) -> list[MeasurementLines]:
    """Return the measurements of all files, one set of lines per vantage, with latencies and ages if ``timings``.

    Raises InputError with every fault at file and line: a line that is unreadable or incomplete, names a link, endpoint or
    vantage that the register lacks, is not at the start of a slot, or has a reason of another outcome. Lines of a dump may
    name entities of another version of the register, as the scorer ignores these in the stream.
    """
    faults: list[Fault] = []
    vantages: dict[str, _Columns] = {}
    known = _Known.of(register)
    for file in files:
        for number, row in _rows(file, measurement_from_json, faults):
            reasons = list(known.faults(row))
            faults += (Fault(str(file), number, 0, reason) for reason in reasons)
            if not reasons:
                vantages.setdefault(row.vantage, _Columns()).add(row, timings=timings)
    if faults:
        raise InputError(_named("measurements", files), faults)
    return [vantages[vantage].lines(vantage, timings=timings) for vantage in sorted(vantages)]


def read_summaries(files: Sequence[Path]) -> list[ExchangeSummary]:
    """Return the exchange summaries of all files. Raises InputError with every fault at file and line."""
    faults: list[Fault] = []
    summaries = [row for file in files for _, row in _rows(file, summary_from_json, faults)]
    if faults:
        raise InputError(_named("exchanges", files), faults)
    return summaries


@dataclass(frozen=True, slots=True)
class _Known:
    """The entities that a measurement may name."""

    links: frozenset[str]
    endpoints: frozenset[str]
    vantages: frozenset[str]
    slot_seconds: int

    @classmethod
    def of(cls, register: Register) -> _Known:
        return cls(
            links=frozenset(register.links),
            endpoints=frozenset(register.endpoints),
            vantages=frozenset(vantage.id for vantage in register.policy.vantages),
            slot_seconds=register.policy.slot_seconds,
        )

    def faults(self, row: Measurement) -> Iterator[str]:
        if row.sequence:
            if row.stored is None:
                yield "stored: a line with a sequence says when the stream stored it"
            if row.sequence > np.iinfo(np.int64).max:
                yield "sequence: beyond what a stream can count"
            return
        kind, ids = ("endpoint", self.endpoints) if row.target.endpoint else ("link", self.links)
        if row.target.id not in ids:
            yield f"{kind}: the register has no {kind} {row.target.id!r}"
        if row.vantage not in self.vantages:
            yield f"vantage: the register has no vantage {row.vantage!r}"
        if row.slot_start % self.slot_seconds:
            yield f"slot_start: no slot of {self.slot_seconds} s begins there"
        if row.reason.outcome is not row.outcome:
            yield f"reason: {row.reason.name} belongs to outcome {row.reason.outcome.name}, not to {row.outcome.name}"


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
