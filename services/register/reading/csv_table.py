"""CSV files with the place of every cell.

The csv module knows no columns and forgets where a quoted cell began, and a fault without its place is hard to mend;
so cells are cut here, by the rules of RFC 4180.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from services.register.reading.faults import FaultList, Location, read_source
from services.register.reading.values import fold, read_id

__all__ = ["CsvCell", "CsvRow", "CsvTable", "read_table"]

T = TypeVar("T")
D = TypeVar("D")

_QUOTED = re.compile(r'[ \t]*"([^"]*(?:""[^"]*)*)"[ \t]*')
_OPEN = re.compile(r'[ \t]*"')
_PLAIN = re.compile(r"[^,\n]*")


@dataclass(frozen=True, slots=True)
class CsvCell:
    """What is written between two commas, unquoted and stripped, and where it begins."""

    text: str
    place: Location


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row: its cells by column name, where it begins, and where faults go."""

    place: Location
    cells: Mapping[str, CsvCell]
    findings: FaultList

    def at(self, column: str) -> Location:
        """Where the cell begins; the row when the file lacks the column."""
        cell = self.cells.get(column)
        return cell.place if cell else self.place

    def text(self, column: str) -> str:
        """Return the cell's text; empty when the file lacks the column."""
        cell = self.cells.get(column)
        return cell.text if cell else ""

    def fault(self, column: str, reason: str) -> None:
        """Record a fault of one cell."""
        self.findings.add(self.at(column), f"{column}: {reason}")

    def read(self, column: str, read: Callable[[str], T], default: D) -> T | D:
        """Return the cell as a value; ``default`` when it is empty, and, with a fault, when it cannot be used."""
        text = self.text(column)
        return self.findings.attempt(self.at(column), column, read, text, default) if text else default

    def need(self, column: str, read: Callable[[str], T], default: D) -> T | D:
        """Return the cell as a value; empty is a fault too."""
        if not self.text(column):
            self.fault(column, "is empty")
        return self.read(column, read, default)

    def reference(self, column: str, known: Container[str] | None, where: str) -> str:
        """Return the id in the cell, which must be among ``known`` (None: that file could not be read, so nobody knows)."""
        name = fold(self.text(column))
        if name and known is not None and name not in known:
            self.fault(column, f"`{self.text(column)}` is not in {where}")
        return name


@dataclass(slots=True)
class CsvTable:
    """The rows that can be read, and every id declared, also by rows with faults; None when some may be missing."""

    rows: list[CsvRow] = field(default_factory=list)
    ids: dict[str, Location] | None = field(default_factory=dict)


def read_table(
    path: Path, findings: FaultList, *, required: tuple[str, ...], optional: tuple[str, ...] = (), key: str = ""
) -> CsvTable:
    """Read a CSV file; faults: no file, no UTF-8, unknown, missing or repeated columns, rows of the wrong length,
    and, with ``key``, ids that are empty, bad or repeated.
    """
    text = read_source(path, findings)
    if text is None:
        return CsvTable(ids=None)
    before = len(findings.faults)
    lines = _rows(text, str(path), findings)
    header = next(lines, None)
    if header is None:
        findings.add(Location(str(path), 1, 1), "the file is empty: its first line names the columns")
        return CsvTable(ids=None)
    names = [fold(cell.text) for cell in header]
    complete = _check_header(header, required, optional, findings)
    if len(set(names)) < len(names):
        return CsvTable(ids=None)
    table = CsvTable()
    for cells in lines:
        row = CsvRow(cells[0].place, dict(zip(names, cells, strict=False)), findings)
        whole = _check_length(cells, names, findings)
        declared = _declare(row, key, table) if key else True
        if whole and declared and complete:
            table.rows.append(row)
    unclosed = any(fault.reason == _UNCLOSED for fault in findings.faults[before:])
    if unclosed or (key and key not in names):
        table.ids = None
    return table


_UNCLOSED = "a quote opens here and never closes"


def _check_header(
    header: list[CsvCell], required: tuple[str, ...], optional: tuple[str, ...], findings: FaultList
) -> bool:
    names = [fold(cell.text) for cell in header]
    for number, (name, cell) in enumerate(zip(names, header, strict=True)):
        if name not in required + optional:
            findings.add(cell.place, f"column `{cell.text}` is unknown; known are {', '.join(required + optional)}")
        elif name in names[:number]:
            findings.add(cell.place, f"column `{cell.text}` is there twice")
    missing = [name for name in required if name not in names]
    for name in missing:
        findings.add(header[0].place, f"column `{name}` is missing")
    return not missing


def _check_length(cells: list[CsvCell], names: list[str], findings: FaultList) -> bool:
    if len(cells) == len(names):
        return True
    place = cells[0].place if len(cells) < len(names) else cells[len(names)].place
    count = f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}"
    findings.add(place, f"the row has {count} where the header has {len(names)}")
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


def _rows(text: str, file: str, findings: FaultList) -> Iterator[list[CsvCell]]:
    """Return the cells of each line that is not blank; a quoted cell may run over lines."""
    position, line, begin = 0, 1, 0
    cells: list[CsvCell] = []
    while position < len(text) or cells:
        place = Location(file, line, position - begin + 1)
        quoted = _QUOTED.match(text, position)
        if quoted:
            value = quoted[1].replace('""', '"')
            end = quoted.end()
            if breaks := text.count("\n", position, end):
                line, begin = line + breaks, text.rindex("\n", position, end) + 1
            surplus = _PLAIN.match(text, end)
            if surplus and surplus[0]:
                findings.add(Location(file, line, end - begin + 1), "text follows the closing quote")
                end = surplus.end()
        elif opened := _OPEN.match(text, position):
            findings.add(place.shifted(opened.end() - position - 1), _UNCLOSED)
            return
        else:
            plain = _PLAIN.match(text, position)
            assert plain is not None  # it matches nothing too
            value, end = plain[0], plain.end()
        cells.append(CsvCell(value.strip(), place))
        position = end + 1
        if text[end : end + 1] == ",":
            continue
        if len(cells) > 1 or cells[0].text:
            yield cells
        cells = []
        line, begin = line + 1, position
