"""Proposes a register from a CSV list of addresses with named columns: endpoints and their agencies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

from services.core.errors import Fault, InputError
from services.core.texts import fold
from services.register.discovery.proposal import (
    ANSWERS,
    RegisterProposal,
    omission,
    proposed_policy,
    register_files,
    slug,
    unused_id,
)
from services.register.faults import FaultList, Location
from services.register.reading import read_http_url, read_table

COLUMNS: Final = {"target": "the URL or the host name", "agency": "the name of the agency", "sector": "its sector"}
"""The columns that are read from a list; the sector is optional."""

_OTHER_SECTOR = "government"
_GOVERNMENT: Final = {"id": "government", "name_en": "Government", "name_fa": "دولت"}


def import_endpoints(file: Path, epoch: date, columns: Mapping[str, str]) -> RegisterProposal:
    """Propose a register whose endpoints are the addresses in ``file``, with this epoch.

    ``columns`` maps the keys of COLUMNS to the names of columns. By default a column is named after its key, and no
    sector is read. Rows that cannot be used are left out. Raises InputError with every fault of the file.
    """
    faults = FaultList()
    for name in columns:
        if name not in COLUMNS:
            faults.add(
                Location(str(file), 0, 0), f"`{name}` is not read of a list of endpoints: name {', '.join(COLUMNS)}"
            )
    target, agency = (fold(columns.get(name, name)) for name in ("target", "agency"))
    sector = fold(columns.get("sector", ""))
    rows = read_table(file, faults, required=tuple(filter(None, (target, agency, sector))), optional=None).rows
    if faults:
        raise InputError(f"list {file}", faults)
    names: dict[str, str] = {}
    sectors: dict[str, str] = {}
    endpoints: dict[str, tuple[str, ...]] = {}
    lines: dict[str, int] = {}
    left_out: list[Fault] = []
    for row in rows:
        owner, url = row.text(agency), _url(row.text(target))
        reason = _unusable(owner, url)
        if not reason and url in lines:
            reason = f"is the address of line {lines[url]} already"
        if reason:
            left_out.append(omission(row.location.file, row.location.line, row.text(target) or "a row", reason))
            continue
        lines[url] = row.location.line
        if owner not in names:
            names[owner] = unused_id(sectors, slug(owner) or "agency")
            sectors[names[owner]] = slug(row.text(sector)) or _OTHER_SECTOR
        endpoint = unused_id(endpoints, slug(url.partition("://")[2].removeprefix("www.")) or "endpoint")
        endpoints[endpoint] = (endpoint, names[owner], "", "answers", url.replace("$", "$$"))
    controls = [url.replace("$$", "$") for *_, url in endpoints.values()][:2]
    return RegisterProposal(
        files=register_files(
            agencies=sorted((agency_id, *_names(name), sectors[agency_id]) for name, agency_id in names.items()),
            endpoints=sorted(endpoints.values()),
            probes={"answers": ANSWERS},
            policy=proposed_policy(_GOVERNMENT, epoch, controls),
        ),
        left_out=tuple(left_out),
    )


def _url(text: str) -> str:
    return text if not text or "://" in text else f"https://{text.rstrip('/')}/"


def _unusable(agency: str, url: str) -> str:
    """Return why a row is left out; empty when it can be used."""
    if not url:
        return "has no address"
    if not agency:
        return "has no agency"
    try:
        read_http_url(url)
    except ValueError as error:
        return str(error)
    return ""


def _names(name: str) -> tuple[str, str]:
    """Return the names in English and in Persian: a name stands in the column of its script."""
    return ("", name) if any("\u0600" <= character <= "\u06ff" for character in name) else (name, "")
