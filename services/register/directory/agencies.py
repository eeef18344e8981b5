"""Reads agencies.csv and services.csv."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from services.core.model import Agency, Service
from services.register.faults import FaultList, Location
from services.register.reading import (
    CsvRow,
    CsvTable,
    read_choice,
    read_day,
    read_id,
    read_name,
    read_table,
    read_weight,
    read_whole,
)

AGENCIES = "agencies.csv"
SERVICES = "services.csv"

_NAMES = ("name_en", "name_fa")


def agencies_table(directory: Path, faults: FaultList) -> CsvTable:
    """Return the rows of agencies.csv."""
    return _read_named(directory / AGENCIES, faults, ("id", "sector"), "staff", "satisfaction", "until", "merged_into")


def services_table(directory: Path, faults: FaultList) -> CsvTable:
    """Return the rows of services.csv."""
    return _read_named(directory / SERVICES, faults, ("id", "agency"), "channel", "weight")


def read_agency(row: CsvRow, agencies: Container[str] | None) -> Agency:
    """Read one agency; ``agencies`` are all ids, None when unknown."""
    _check_names(row)
    name = row.read("id", read_id, "")
    successor = row.reference("merged_into", agencies, AGENCIES)
    if successor and successor == name:
        row.fault("merged_into", "an agency cannot merge into itself")
    return Agency(
        id=name,
        name_en=row.read("name_en", read_name, ""),
        name_fa=row.read("name_fa", read_name, ""),
        sector=row.need("sector", read_id, ""),
        staff=row.read("staff", read_whole, None),
        satisfaction=row.read("satisfaction", read_weight, None),
        until=row.read("until", read_day, None),
        merged_into=successor or None,
    )


def read_service(row: CsvRow, agencies: Container[str] | None) -> Service:
    """Read one service; ``agencies`` are all ids, None when unknown."""
    _check_names(row)
    return Service(
        id=row.read("id", read_id, ""),
        agency=row.reference("agency", agencies, AGENCIES, required=True),
        name_en=row.read("name_en", read_name, ""),
        name_fa=row.read("name_fa", read_name, ""),
        channel=row.read("channel", lambda text: read_choice(text, "unified", "own", "both"), ""),
        weight=row.read("weight", read_weight, 1.0),
    )


def _read_named(path: Path, faults: FaultList, required: tuple[str, ...], *optional: str) -> CsvTable:
    """Read a table of what has a name. Either column of names may be missing, since its cells may be empty."""
    table = read_table(path, faults, required=required, optional=(*_NAMES, *optional), key="id")
    if table.rows and not table.rows[0].cells.keys() & set(_NAMES):
        faults.add(Location(str(path), 1, 1), "columns `name_en` and `name_fa` are missing: one of them must be given")
    return table


def _check_names(row: CsvRow) -> None:
    if row.cells.keys() & set(_NAMES) and not any(map(row.text, _NAMES)):
        row.fault("name_en", "is empty, and so is name_fa: one of them must be given")
