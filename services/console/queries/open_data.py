"""Reads the description of the export of open data that is served (docs/opendata.md)."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from services.core.bounded_files import read_bounded

PACKAGE: Final = "datapackage.json"
_LIMIT: Final = 4 << 20
"""The most bytes of a description, which has some hundred bytes per column."""

_DESCRIPTIONS: Final = (PACKAGE, "dcat.jsonld", "README.en.md", "README.fa.md")


class ExportedFile(BaseModel):
    """A file of a table: its name, the title of the table, its size and its hash."""

    path: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]*\.(csv|parquet)$")]
    title: str
    title_fa: str
    bytes: int
    hash: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class Days(BaseModel):
    """The first and the last day of an export."""

    start: date
    end: date


class Publisher(BaseModel):
    """The publisher of an export."""

    title: str
    title_fa: str


class Licence(BaseModel):
    """A licence by the address of its text."""

    path: Annotated[str, StringConstraints(pattern=r"^https?://")]


class Export(BaseModel):
    """The parts of datapackage.json that pages show."""

    temporal: Days
    contributors: Annotated[list[Publisher], Field(min_length=1)]
    licenses: list[Licence] = []
    resources: list[ExportedFile]

    @property
    def names(self) -> frozenset[str]:
        """The names of all files that are served."""
        return frozenset(file.path for file in self.resources) | frozenset(_DESCRIPTIONS)


def read_export(folder: Path) -> Export | None:
    """Return the export in a folder; None if there is none or it cannot be read."""
    try:
        return Export.model_validate_json(read_bounded(folder / PACKAGE, folders=[folder], limit=_LIMIT))
    except (OSError, ValidationError):
        return None
