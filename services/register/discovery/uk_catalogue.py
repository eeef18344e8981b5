"""Proposes a register, to be edited, from the United Kingdom's catalogue of government APIs.

The catalogue lists providers, APIs and their addresses, which become agencies, services and endpoints. It does not contain
required inquiries, so links.csv has only its header.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from services.core.errors import Fault, InputError
from services.register.discovery.proposal import (
    ANSWERS,
    RegisterProposal,
    omission,
    proposed_policy,
    register_files,
    slug,
    unused_id,
)
from services.register.faults import FaultList
from services.register.reading import CsvRow, read_http_url, read_table

_CATALOGUE = (
    *("dateAdded", "dateUpdated", "url", "name", "description", "documentation", "license", "areaServed"),
    *("startDate", "endDate", "provider"),
)
_ORGANISATIONS = ("id", "name", "alternateName", "url")
_ORGANISATION_FILES = ("uk_api_organisations.csv", "organisation.csv")
# The catalogue has no sectors: the first pattern that matches an agency's name decides; the result can be edited.
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
_GOVERNMENT = {"id": "uk", "name_en": "United Kingdom", "name_fa": "بریتانیا"}


@dataclass(frozen=True, slots=True)
class _Api:
    row: CsvRow
    id: str
    agency: str
    name: str
    url: str


def import_uk_api_catalogue(file: Path, epoch: date) -> RegisterProposal:
    """Propose a register from the catalogue ``file`` and the organisations beside it, with this epoch.

    Raises InputError with every fault of these files.
    """
    faults = FaultList()
    rows = read_table(file, faults, required=_CATALOGUE).rows
    beside = next((file.with_name(name) for name in _ORGANISATION_FILES if file.with_name(name).exists()), None)
    organisations = read_table(beside, faults, required=_ORGANISATIONS).rows if beside else []
    for row in rows:
        row.need("name", str, "")
        row.need("provider", _read_provider, "")
    if faults:
        raise InputError(f"catalogue {file}", faults)
    names = {slug(row.text("id")): row.text("name") for row in organisations}
    apis = _apis(rows)
    agencies = sorted({api.agency for api in apis})
    endpoints, left_out = _endpoints(apis)
    reason = "has no API in the catalogue, so it is no agency here"
    unused = [
        omission(row.location.file, row.location.line, row.text("name"), reason)
        for row in organisations
        if slug(row.text("id")) not in agencies
    ]
    return RegisterProposal(
        files=register_files(
            agencies=((agency, _name(agency, names), "", _sector(_name(agency, names))) for agency in agencies),
            services=sorted((api.id, api.agency, api.name, "") for api in apis),
            endpoints=sorted(endpoints),
            probes={"answers": ANSWERS},
            policy=proposed_policy(_GOVERNMENT, epoch, ["https://www.gov.uk/"], "Europe/London"),
        ),
        left_out=(*left_out, *unused),
    )


def _read_provider(text: str) -> str:
    if not slug(text):
        raise ValueError(f"`{text}` makes no id of an agency: write it with Latin letters or digits")
    return text


def _apis(rows: Iterable[CsvRow]) -> list[_Api]:
    """Return a service per API. Its id is its name, preceded by its agency or else followed by a number if that is taken."""
    apis: dict[str, _Api] = {}
    for row in rows:
        agency, name = slug(row.text("provider")), row.text("name")
        name_id = unused_id(apis, name, f"{agency}-{name}")
        apis[name_id] = _Api(row, name_id, agency, name, row.text("url"))
    return [*apis.values()]


def _endpoints(apis: list[_Api]) -> tuple[list[tuple[str, ...]], list[Fault]]:
    """Return an endpoint per address; one that several APIs share belongs to their agency."""
    sharing = Counter((api.agency, api.url) for api in apis)
    endpoints: dict[tuple[str, str], tuple[str, ...]] = {}
    taken = {api.id for api in apis}
    left_out: list[Fault] = []
    for api in apis:
        reason = _unusable(api.url)
        if not reason:
            target = api.url.replace("$", "$$")
            alone = sharing[api.agency, api.url] == 1
            if (api.agency, api.url) not in endpoints:
                shared = f"{api.agency}-{api.url.partition('://')[2]}"
                name = api.id if alone else unused_id(taken, shared)
                taken.add(name)
                endpoints[api.agency, api.url] = (name, api.agency, api.id if alone else "", "answers", target)
            if not alone:
                others, name = sharing[api.agency, api.url] - 1, endpoints[api.agency, api.url][0]
                reason = f"shares its URL with {others} others: endpoint `{name}` stands for all"
        if reason:
            left_out.append(omission(api.row.location.file, api.row.location.line, api.name, reason))
    return list(endpoints.values()), left_out


def _unusable(url: str) -> str:
    """Return why ``url`` cannot be probed; empty when it can."""
    if not url:
        return "has no URL: a service without an endpoint"
    if parameters := re.findall(r"\{([^}]*)\}", url):
        needed = ", ".join(parameters)
        return f"its URL needs {needed}, which the catalogue does not give: a service without an endpoint"
    try:
        read_http_url(url)
    except ValueError as error:
        return f"{error}: a service without an endpoint"
    return ""


def _name(agency: str, names: dict[str, str]) -> str:
    return names.get(agency) or agency.replace("-", " ").title()


def _sector(name: str) -> str:
    return next((sector for sector, pattern in _SECTORS if re.search(pattern, name)), _OTHER_SECTOR)
