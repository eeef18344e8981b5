"""Writes tables as files whose bytes depend only on their rows, and describes each file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import pyarrow as pa

from services.cli.csv_tables import csv_parts
from services.cli.opendata.tables import Table
from services.core.model import OpenData, Register, in_language
from services.dataset.tables import write


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a table in one of its forms, ``csv`` or ``parquet``: its size in bytes and its hash in hex."""

    table: Table
    form: str
    bytes: int
    sha256: str

    @property
    def name(self) -> str:
        """The name of the file."""
        return f"{self.table.name}.{self.form}"


MEDIA_TYPES: Final = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
"""Media types of both forms, as IANA lists them."""


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What an export holds.

    ``tables`` are those of the days ``first`` to ``last``, with numbers up to ``as_of`` (epoch seconds). ``register``
    was in force then. ``files`` are known once they are written.
    """

    register: Register
    first: str
    last: str
    as_of: int
    method_version: str
    tables: Mapping[str, pa.Table]
    files: tuple[DataFile, ...] = ()

    @property
    def stated(self) -> OpenData:
        """What the policy states on publisher, licence and address."""
        return self.register.policy.open_data or OpenData()

    def publisher(self, language: str) -> str:
        """Return the name of the publisher: the one in the policy, else the government's."""
        named = in_language(language, self.stated.publisher_en, self.stated.publisher_fa)
        return named or self.government(language)

    def government(self, language: str) -> str:
        """Return the name of the government in a language, else in the other one."""
        government = self.register.policy.government
        return in_language(language, government.name_en, government.name_fa)

    def title(self, language: str) -> str:
        """Return the title of the export."""
        what = {"en": "Cross-agency integration", "fa": "یکپارچگی میان‌دستگاهی"}[language]
        return f"{what}: {self.government(language)}"

    def files_of(self, table: Table) -> list[DataFile]:
        """Return the files of a table."""
        return [file for file in self.files if file.table == table]


def write_table(folder: Path, table: Table, rows: pa.Table) -> tuple[DataFile, DataFile]:
    """Write a table as CSV (RFC 4180, UTF-8) and as Parquet, durably. Raises OSError."""
    return (
        _write(folder, table, "csv", csv_parts(rows)),
        _write(folder, table, "parquet", iter((write(rows, table.kind),))),
    )


def _write(folder: Path, table: Table, form: str, parts: Iterator[bytes]) -> DataFile:
    digest, size = sha256(), 0
    with (folder / f"{table.name}.{form}").open("wb") as file:
        for part in parts:
            file.write(part)
            digest.update(part)
            size += len(part)
        file.flush()
        os.fsync(file.fileno())
    return DataFile(table, form, size, digest.hexdigest())
