"""Splits CSV text into cells with the location of each, by the rules of RFC 4180.

The csv module reports neither columns nor where a quoted cell began, and a fault needs both to be found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.register.faults import FaultList, Location

UNCLOSED = "a quote opens here and never closes"
"""The fault after which nothing is read."""

_QUOTED = re.compile(r'[ \t]*"([^"]*(?:""[^"]*)*)"[ \t]*')
_OPEN = re.compile(r'[ \t]*"')
_PLAIN = re.compile(r"[^,\n]*")


@dataclass(frozen=True, slots=True)
class CsvCell:
    """The text of a cell, unquoted and stripped, and where it begins."""

    text: str
    location: Location


def split_cells(text: str, file: str, faults: FaultList) -> Iterator[list[CsvCell]]:
    """Yield the cells of each line that is not blank; a quoted cell may contain line breaks."""
    position, line, begin = 0, 1, 0
    cells: list[CsvCell] = []
    while position < len(text) or cells:
        location = Location(file, line, position - begin + 1)
        quoted = _QUOTED.match(text, position)
        if quoted:
            value = quoted[1].replace('""', '"')
            end = quoted.end()
            if breaks := text.count("\n", position, end):
                line, begin = line + breaks, text.rindex("\n", position, end) + 1
            surplus = _PLAIN.match(text, end)
            if surplus and surplus[0]:
                faults.add(Location(file, line, end - begin + 1), "text follows the closing quote")
                end = surplus.end()
        elif opened := _OPEN.match(text, position):
            faults.add(Location(file, line, opened.end() - begin), UNCLOSED)
            return
        else:
            plain = _PLAIN.match(text, position)
            assert plain is not None  # it also matches an empty text
            value, end = plain[0], plain.end()
        cells.append(CsvCell(value.strip(), location))
        position = end + 1
        if text[end : end + 1] == ",":
            continue
        if len(cells) > 1 or cells[0].text:
            yield cells
        cells = []
        line, begin = line + 1, position
