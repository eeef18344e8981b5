"""A file of the register as text."""

from __future__ import annotations

from pathlib import Path

from services.register.reading.faults import Findings, Place

__all__ = ["read_source"]


def read_source(path: Path, findings: Findings) -> str | None:
    """Read the text of a UTF-8 file with single line feeds, without a byte order mark; None and a fault if it cannot be had."""
    place = Place(str(path))
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        findings.add(place, "the file is missing")
        return None
    except OSError as error:
        findings.add(place, f"the file cannot be read: {error.strerror}")
        return None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = _lines(content[: error.start].decode("utf-8")).split("\n")
        place = Place(str(path), len(before), len(before[-1]) + 1)
        findings.add(place, f"byte 0x{content[error.start]:02x} is not UTF-8: save the file as UTF-8")
        return None
    return _lines(text)


def _lines(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
