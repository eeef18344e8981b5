"""Reads a file of a register as text."""

from __future__ import annotations

from pathlib import Path

from services.core.bounded_files import read_bounded
from services.register.faults import FaultList, Location

# A links.csv of a million links has 300 MB.
_SOURCE_LIMIT = 1 << 30


def read_source(path: Path, faults: FaultList) -> str | None:
    """Read a UTF-8 file with line feeds only and without a byte order mark; None, with a fault, when it cannot be read."""
    location = Location(str(path))
    try:
        content = read_bounded(path, folders=(path.parent,), limit=_SOURCE_LIMIT)
    except FileNotFoundError:
        faults.add(location, "the file is missing")
        return None
    except OSError as error:
        faults.add(location, f"the file cannot be read: {error.strerror}")
        return None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = _lines(content[: error.start].decode("utf-8")).split("\n")
        location = Location(str(path), len(before), len(before[-1]) + 1)
        faults.add(location, f"byte 0x{content[error.start]:02x} is not UTF-8: save the file as UTF-8")
        return None
    return _lines(text)


def _lines(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
