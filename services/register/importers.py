"""Public catalogues become register directories, as a start to edit.

The catalogue of the United Kingdom's government APIs lists providers, APIs and their addresses, so it gives agencies,
services and endpoints. It says nothing about who must ask whom: links.csv stays empty but for its header.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from services.core.errors import Fault, InputError
from services.register.address import read_http_url
from services.register.findings import Findings
from services.register.table import Row, read_table

__all__ = ["IMPORTERS", "Import", "LeftOut", "import_uk_api_catalogue", "write_files"]

_CATALOGUE = (
    "dateAdded",
    "dateUpdated",
    "url",
    "name",
    "description",
    "documentation",
    "license",
    "areaServed",
    "startDate",
    "endDate",
    "provider",
)
_ORGANISATIONS = ("id", "name", "alternateName", "url")
_ORGANISATION_FILES = ("uk_api_organisations.csv", "organisation.csv")
_LINK_COLUMNS = (
    "id",
    "service",
    "provider",
    "data_item",
    "required_from",
    "required_until",
    "live_from",
    "probe",
    "target",
    "params",
    "vantages",
    "latency_ms",
    "max_age_s",
    "slo",
    "weight",
)
# The catalogue knows no sectors; the first pattern found in an agency's name decides, and the result is there to be edited.
_SECTORS = (
    ("local-government", r"Council|Local Government|Combined Authority"),
    ("environment", r"Environment|Hydrographic|Geological|Aquaculture|Ordnance"),
    ("health", r"NHS|Health|Food"),
    ("education", r"Education|Apprenticeship|Qualifications"),
    ("transport", r"Transport|Vehicle"),
    ("justice", r"Justice|Police|Home Office"),
    ("culture", r"Archives|Historic"),
    ("economy", r"Revenue|Pensions|Business|Companies|Insolvency|Commercial|Land Registry"),
)
_OTHER_SECTOR = "central-government"
# Without credentials an API in good order refuses politely; only silence or a server error says that it is down.
_ANSWERS = [200, 204, 400, 401, 403, 404, 405, 406, 415]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What has no endpoint or agency of its own in the new register, where it stood, and why."""

    file: str
    line: int
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Import:
    """The files of a register directory by name, and what was left out."""

    files: dict[str, str]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class _Api:
    row: Row
    id: str
    agency: str
    name: str
    url: str


def import_uk_api_catalogue(file: Path, epoch: date) -> Import:
    """Read the catalogue ``file`` and the organisations beside it; ``epoch`` is that of the new register.

    InputError with every fault when they are not what they should be.
    """
    findings = Findings()
    rows = read_table(file, findings, required=_CATALOGUE).rows
    beside = next((file.with_name(name) for name in _ORGANISATION_FILES if file.with_name(name).exists()), None)
    organisations = read_table(beside, findings, required=_ORGANISATIONS).rows if beside else []
    for row in rows:
        for column in ("name", "provider"):
            row.need(column, str, "")
    if findings.faults:
        raise InputError(f"catalogue {file}", findings.faults)
    names = {_slug(row.text("id")): row.text("name") for row in organisations}
    apis = _apis(rows)
    agencies = sorted({api.agency for api in apis})
    endpoints, left_out = _endpoints(apis)
    unused = [
        LeftOut(
            row.place.file, row.place.line, row.text("name"), "has no API in the catalogue, so it is no agency here"
        )
        for row in organisations
        if _slug(row.text("id")) not in agencies
    ]
    return Import(
        files={
            "agencies.csv": _csv(
                ("id", "name_en", "name_fa", "sector"),
                ((it, _name(it, names), "", _sector(_name(it, names))) for it in agencies),
            ),
            "services.csv": _csv(
                ("id", "agency", "name_en", "name_fa"), sorted((api.id, api.agency, api.name, "") for api in apis)
            ),
            "links.csv": _csv(_LINK_COLUMNS, ()),
            "endpoints.csv": _csv(("id", "agency", "service", "probe", "target"), sorted(endpoints)),
            "probes.yaml": _yaml({"answers": {"kind": "http", "timeout": "10s", "expect": {"status": _ANSWERS}}}),
            "policy.yaml": _yaml(_policy(epoch)),
        },
        left_out=(*left_out, *unused),
    )


IMPORTERS: dict[str, Callable[[Path, date], Import]] = {"uk-api-catalogue": import_uk_api_catalogue}
"""Kind → importer."""


def write_files(files: dict[str, str], out: Path) -> None:
    """Write the files of a new register directory. InputError when ``out`` already holds something."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"directory {out}", [Fault(str(out), 0, 0, "it is not empty: name a new directory")])
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (out / name).write_text(content, encoding="utf-8", newline="")


def _apis(rows: Iterable[Row]) -> list[_Api]:
    """One service per API, its id folded from its name; an id already taken gets its agency in front, then a number."""
    apis: list[_Api] = []
    taken: set[str] = set()
    for row in rows:
        agency, name = _slug(row.text("provider")), row.text("name")
        candidates = [_slug(name), _slug(f"{agency}-{name}"), *(_slug(f"{number}-{name}") for number in range(2, 1000))]
        chosen = next(candidate for candidate in candidates if candidate not in taken)
        taken.add(chosen)
        apis.append(_Api(row, chosen, agency, name, row.text("url")))
    return apis


def _endpoints(apis: list[_Api]) -> tuple[list[tuple[str, ...]], list[LeftOut]]:
    """One endpoint per address; where several APIs share one it tells them nothing apart and belongs to the agency."""
    sharing = Counter((api.agency, api.url) for api in apis)
    endpoints: dict[tuple[str, str], tuple[str, ...]] = {}
    left_out: list[LeftOut] = []
    for api in apis:
        reason = _unusable(api.url)
        if not reason:
            target = api.url.replace("$", "$$")
            alone = sharing[api.agency, api.url] == 1
            name = api.id if alone else _slug(f"{api.agency}-{api.url.partition('://')[2]}")
            endpoints[api.agency, api.url] = (name, api.agency, api.id if alone else "", "answers", target)
            if not alone:
                reason = (
                    f"shares its URL with {sharing[api.agency, api.url] - 1} others: endpoint `{name}` stands for all"
                )
        if reason:
            left_out.append(LeftOut(api.row.place.file, api.row.place.line, api.name, reason))
    return list(endpoints.values()), left_out


def _unusable(url: str) -> str:
    """Why nothing can be probed at ``url``; empty when something can."""
    if not url:
        return "has no URL: a service without an endpoint"
    if asked := re.findall(r"\{([^}]*)\}", url):
        return f"its URL asks for {', '.join(asked)}, which the catalogue does not give: a service without an endpoint"
    try:
        read_http_url(url)
    except ValueError as error:
        return f"{error}: a service without an endpoint"
    return ""


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:63].rstrip("-")


def _name(agency: str, names: dict[str, str]) -> str:
    return names.get(agency) or agency.replace("-", " ").title()


def _sector(name: str) -> str:
    return next((sector for sector, pattern in _SECTORS if re.search(pattern, name)), _OTHER_SECTOR)


def _policy(epoch: date) -> dict[str, object]:
    return {
        "government": {"id": "uk", "name_en": "United Kingdom", "name_fa": "بریتانیا"},
        "timezone": "Europe/London",
        "epoch": epoch.isoformat(),
        "slot_seconds": 300,
        "vantages": [{"id": "main", "control_targets": ["https://www.gov.uk/"]}],
        "default_latency_ms": 2000,
    }


def _yaml(value: object) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def _csv(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
