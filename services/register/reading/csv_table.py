"""Reads CSV files as rows of named cells, with every fault at its place."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from services.core.texts import fold, plural
from services.register.faults import FaultList, Location
from services.register.reading.csv_cells import UNCLOSED, CsvCell, split_cells
from services.register.reading.source import read_source
from services.register.reading.values import read_id

T = TypeVar("T")
D = TypeVar("D")

_OTHER_MARKS = {";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row: its cells by column name, where it begins, and the list for its faults."""

    location: Location
    cells: Mapping[str, CsvCell]
    faults: FaultList

    def at(self, column: str) -> Location:
        """Return where the cell begins; the row's location when the file lacks the column."""
        cell = self.cells.get(column)
        return cell.location if cell else self.location

    def text(self, column: str) -> str:
        """Return the cell's text; empty when the file lacks the column."""
        cell = self.cells.get(column)
        return cell.text if cell else ""

    def fault(self, column: str, reason: str) -> None:
        """Record a fault of one cell."""
        self.faults.add(self.at(column), f"{column}: {reason}")

    def warn(self, column: str, reason: str) -> None:
        """Record a warning of one cell."""
        self.faults.warn(self.at(column), f"{column}: {reason}")

    def read(self, column: str, read: Callable[[str], T], default: D) -> T | D:
        """Return the value of the cell; ``default`` when it is empty or, with a fault, when it cannot be used."""
        text = self.text(column)
        return self.faults.attempt(self.at(column), column, read, text, default) if text else default

    def need(self, column: str, read: Callable[[str], T], default: D) -> T | D:
        """Return the value of the cell, as ``read`` does; an empty one is a fault too."""
        if not self.text(column):
            self.fault(column, "is empty")
        return self.read(column, read, default)

    def reference(self, column: str, ids: Container[str] | None, file: str, *, required: bool = False) -> str:
        """Return the id in the cell; record a fault unless it is in ``ids`` (None: no check, ``file`` was unreadable).

        An empty cell is a fault when it is ``required``.
        """
        name = fold(self.text(column))
        if required and not name:
            self.fault(column, "is empty")
        if name and ids is not None and name not in ids:
            self.fault(column, f"`{self.text(column)}` is not in {file}")
        return name


@dataclass(slots=True)
class CsvTable:
    """The rows that can be read, and every declared id, including those of rows with faults.

    ``ids`` is None when some may be missing.
    """

    rows: list[CsvRow] = field(default_factory=list)
    ids: dict[str, Location] | None = field(default_factory=dict)


def read_table(
    path: Path, faults: FaultList, *, required: tuple[str, ...], optional: tuple[str, ...] | None = (), key: str = ""
) -> CsvTable:
    """Read a CSV file.

    Faults are a missing file, text that is not UTF-8, unknown, missing or repeated columns, rows of the wrong length
    and, in the column ``key``, ids that are empty, bad or repeated. If ``optional`` is None, any column is allowed.
    """
    text = read_source(path, faults)
    if text is None:
        return CsvTable(ids=None)
    before = len(faults)
    lines = split_cells(text, str(path), faults)
    header = next(lines, None)
    if header is None:
        faults.add(Location(str(path), 1, 1), "the file is empty: its first line names the columns")
        return CsvTable(ids=None)
    if len(header) == 1 and (mark := next((mark for mark in _OTHER_MARKS if mark in header[0].text), "")):
        reason = f"its columns are separated by {_OTHER_MARKS[mark]}: save the file with commas between columns"
        faults.add(header[0].location, reason)
        return CsvTable(ids=None)
    names = [fold(cell.text) for cell in header]
    complete = _check_header(header, required, optional, faults)
    if len(set(names)) < len(names):
        return CsvTable(ids=None)
    table = CsvTable()
    for cells in lines:
        row = CsvRow(cells[0].location, dict(zip(names, cells, strict=False)), faults)
        complete_row = _check_length(cells, names, faults)
        declared = _declare(row, key, table) if key else True
        if complete_row and declared and complete:
            table.rows.append(row)
    unclosed = any(fault.reason == UNCLOSED for fault in faults[before:])
    if unclosed or (key and key not in names):
        table.ids = None
    return table


def read_optional_table(
    path: Path, faults: FaultList, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> CsvTable:
    """Read a CSV file as ``read_table`` does; a missing file has no rows."""
    return read_table(path, faults, required=required, optional=optional) if path.exists() else CsvTable()


def _check_header(
    header: list[CsvCell], required: tuple[str, ...], optional: tuple[str, ...] | None, faults: FaultList
) -> bool:
    names = [fold(cell.text) for cell in header]
    for number, (name, cell) in enumerate(zip(names, header, strict=True)):
        if optional is not None and name not in required + optional:
            faults.add(cell.location, f"column `{cell.text}` is unknown; known are {', '.join(required + optional)}")
        elif name in names[:number]:
            faults.add(cell.location, f"column `{cell.text}` is there twice")
    missing = [name for name in required if name not in names]
    for name in missing:
        faults.add(header[0].location, f"column `{name}` is missing")
    return not missing


def _check_length(cells: list[CsvCell], names: list[str], faults: FaultList) -> bool:
    if len(cells) == len(names):
        return True
    location = cells[0].location if len(cells) < len(names) else cells[len(names)].location
    faults.add(location, f"the row has {plural(len(cells), 'cell')} where the header has {len(names)}")
    return False


def _declare(row: CsvRow, key: str, table: CsvTable) -> bool:
    if key not in row.cells or table.ids is None:
        return False
    name = row.need(key, read_id, "")
    if not name:
        return False
    if name in table.ids:
        row.fault(key, f"`{row.text(key)}` is already the {key} of line {table.ids[name].line}")
        return False
    table.ids[name] = row.at(key)
    return True
