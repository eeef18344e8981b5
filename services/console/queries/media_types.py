"""The media types of published files, by the suffix of their names, as IANA lists them."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

_TYPES: Final = {
    "": "text/plain; charset=utf-8",
    ".csv": "text/csv; charset=utf-8; header=present",
    ".json": "application/json",
    ".jsonld": "application/ld+json",
    ".md": "text/markdown; charset=utf-8",
    ".note": "text/plain; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
}


def media_type(name: str) -> str:
    """Return the media type of a file, with its parameters, such as a character set."""
    return _TYPES.get(PurePath(name).suffix, "application/octet-stream")
