"""A register directory becomes a Register, or is refused whole with every fault (docs/register.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol, TypeVar

from services.core.errors import InputError
from services.core.model import Register
from services.register.directory.agencies import agencies_table, read_agency, read_service_row, services_table
from services.register.directory.cross_checks import check_links, check_probes
from services.register.directory.evaluation import EVALUATION, read_evaluation
from services.register.directory.exchanges import (
    EXCHANGE,
    MAINTENANCE,
    MEMBERS,
    read_maintenance,
    read_members,
    read_routes,
)
from services.register.directory.links import ReadContext, endpoints_table, links_table, read_endpoint, read_link
from services.register.directory.policy import PolicyReading, read_policy
from services.register.probes import ProbeDefinitions, read_probes
from services.register.reading import CsvTable, FaultList, Location
from services.register.versions import with_versions

__all__ = ["OPTIONAL", "LoadedRegister", "load_register", "read_directory"]

OPTIONAL = (MEMBERS, EXCHANGE, MAINTENANCE, EVALUATION)
"""Files a register directory may lack."""


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_HasId)


@dataclass(frozen=True, slots=True)
class LoadedRegister:
    """A register and where its parts are written: ``places`` by section and id; what the policy says of the calendar under ``("policy", key)``."""

    register: Register
    places: Mapping[tuple[str, str], Location]


def load_register(directory: Path) -> Register:
    """Return the register in ``directory``, with both versions.

    InputError with every fault found, each with file, line and column, when there is any.
    """
    return read_directory(directory).register


def read_directory(directory: Path) -> LoadedRegister:
    """Like ``load_register``, with the places of agencies, services, links and endpoints."""
    findings = FaultList()
    if not directory.is_dir():
        findings.add(Location(str(directory)), "there is no such directory")
        raise InputError(f"register {directory}", findings.faults)
    _check_names(directory, findings)
    policy = read_policy(directory, findings)
    probes = read_probes(directory, findings)
    tables = {
        "agencies": agencies_table(directory, findings),
        "services": services_table(directory, findings),
        "links": links_table(directory, findings),
        "endpoints": endpoints_table(directory, findings),
    }
    register = _assemble(directory, findings, policy, probes, tables)
    check_probes(probes, policy, findings)
    _check_bus(policy, tables["endpoints"])
    check_links(tables["links"], register)
    if findings.faults:
        raise InputError(f"register {directory}", dict.fromkeys(findings.faults))
    return LoadedRegister(with_versions(register), _places(policy, tables))


def _assemble(
    directory: Path,
    findings: FaultList,
    policy: PolicyReading,
    probes: ProbeDefinitions,
    tables: Mapping[str, CsvTable],
) -> Register:
    agency_ids = tables["agencies"].ids
    services = _by_id(read_service_row(row, agency_ids) for row in tables["services"].rows)
    around = ReadContext(
        agencies=agency_ids,
        services=tables["services"].ids,
        owners=services,
        probes=probes,
        vantages=policy.vantages,
        policy=policy.policy,
    )
    return Register(
        agencies=_by_id(read_agency(row, agency_ids) for row in tables["agencies"].rows),
        services=services,
        links=_by_id(read_link(row, around) for row in tables["links"].rows),
        endpoints=_by_id(read_endpoint(row, around) for row in tables["endpoints"].rows),
        probes={name: probes.definitions[name].probe for name in sorted(probes.definitions)},
        policy=policy.policy,
        members=read_members(directory, findings, agency_ids),
        routes=read_routes(directory, findings, tables["links"].ids),
        maintenance=read_maintenance(directory, findings, _subjects(tables), policy.zone),
        evaluation=read_evaluation(directory, findings),
    )


def _check_names(directory: Path, findings: FaultList) -> None:
    """A misspelt optional file would pass unread, and nobody would know."""
    for path in sorted(directory.iterdir()):
        meant = get_close_matches(path.name, OPTIONAL, 1, 0.8)
        if meant and path.name not in OPTIONAL and not (directory / meant[0]).exists():
            findings.add(Location(str(path)), f"no such file is read: is it meant to be {meant[0]}?")


def _by_id(values: Iterable[T]) -> dict[str, T]:
    return {value.id: value for value in sorted(values, key=lambda value: value.id)}


def _subjects(tables: Mapping[str, CsvTable]) -> set[str] | None:
    """Return what a maintenance can be about; None when it cannot be known."""
    subjects: set[str] = set()
    for section in ("agencies", "links", "endpoints"):
        ids = tables[section].ids
        if ids is None:
            return None
        subjects |= ids.keys()
    return subjects


def _check_bus(policy: PolicyReading, endpoints: CsvTable) -> None:
    bus = policy.policy.bus
    if bus is not None and policy.block is not None and endpoints.ids is not None and bus not in endpoints.ids:
        policy.block.fault("bus", f"`{bus}` is not in endpoints.csv")


def _places(policy: PolicyReading, tables: Mapping[str, CsvTable]) -> dict[tuple[str, str], Location]:
    places = {(section, name): place for section, table in tables.items() for name, place in (table.ids or {}).items()}
    if policy.block is not None:
        for key in ("slot_seconds", "timezone", "epoch"):
            places["policy", key] = policy.block.at(key)
    return places
