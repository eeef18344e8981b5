"""Loads a register directory, or refuses it whole with every fault (docs/register.md)."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path

from services.core.errors import Fault, InputError
from services.core.model import Link, Register
from services.core.texts import fold
from services.register.directory.agencies import agencies_table, read_agency, read_service, services_table
from services.register.directory.evaluation import EVALUATION, read_evaluation
from services.register.directory.holidays import HOLIDAYS, read_holidays
from services.register.directory.links import ReadContext, endpoints_table, links_table, read_endpoint, read_link
from services.register.directory.notices import (
    ANNOUNCEMENTS,
    MAINTENANCE,
    OBJECTIONS,
    read_announcements,
    read_maintenance,
    read_objections,
)
from services.register.directory.policy import PolicyReading, read_policy
from services.register.directory.reviews import REVIEWS, read_reviews
from services.register.directory.routes import EXCHANGE, MEMBERS, read_members, read_routes
from services.register.faults import FaultList, Location
from services.register.probes import ProbeDefinitions, read_probes
from services.register.reading import CsvTable
from services.register.versions import by_id, with_versions

OPTIONAL = (MEMBERS, EXCHANGE, MAINTENANCE, EVALUATION, ANNOUNCEMENTS, OBJECTIONS, HOLIDAYS, REVIEWS)
"""The files that a register directory may lack."""

_UNREAD: Mapping[type[OSError], str] = {
    FileNotFoundError: "there is no such directory",
    NotADirectoryError: "it is no directory: name the one that holds policy.yaml",
}


def check_probes(probes: ProbeDefinitions, policy: PolicyReading, faults: FaultList) -> None:
    """Check that every timeout is below half a slot, so that the phases of targets can be spread (docs/design.md §6)."""
    slot = policy.policy.slot_seconds
    for definition in probes.definitions.values():
        timeout = definition.probe.timeout
        if policy.mapping is not None and timeout >= slot / 2:
            default = definition.timeout == definition.location
            what = f"the default of {timeout:g} s" if default else f"{timeout:g} s"
            todo = f": write `timeout` with less than {slot / 2:g} s, or longer slots" if default else ""
            faults.add(definition.timeout, f"timeout: {what} is not below half the slot of {slot} s{todo}")


def check_links(links: CsvTable, register: Register) -> None:
    """Check that no two links require the same inquiry at the same time, and that a service's links have some weight."""
    by_inquiry: defaultdict[tuple[str, str, str], list[Link]] = defaultdict(list)
    weights: defaultdict[str, float] = defaultdict(float)
    for row in links.rows:
        link = register.links[fold(row.text("id"))]
        weights[link.service] += link.weight
        twins = by_inquiry[link.service, link.provider, link.data_item]
        for twin in twins:
            (start, end), (other_start, other_end) = _days(link), _days(twin)
            if start < other_end and other_start < end:
                row.fault("id", f"service, provider and data_item are those of link `{twin.id}`, and so are some days")
        twins.append(link)
    for row in links.rows:
        service = fold(row.text("service"))
        if weights.pop(service, None) == 0:
            row.fault("weight", f"every link of service `{service}` has weight 0: give the service weight 0 instead")


def _days(link: Link) -> tuple[date, date]:
    return link.required_from or date.min, link.required_until or date.max


@dataclass(frozen=True, slots=True)
class LoadedRegister:
    """A register and the locations of its parts: by section and id, and of the policy's calendar by ``("policy", key)``.

    ``warnings`` are about what works, and is unsafe or probably a mistake (ADR 63), in file order.
    """

    register: Register
    locations: Mapping[tuple[str, str], Location]
    warnings: tuple[Fault, ...]


def load_register(directory: Path) -> Register:
    """Return the register in ``directory``, with both versions.

    Raises InputError with every fault found, each with its file, line and column.
    """
    return read_directory(directory).register


def read_directory(directory: Path) -> LoadedRegister:
    """Like ``load_register``, with the locations of agencies, services, links and endpoints, and with warnings."""
    faults = FaultList()
    try:
        # With the dot, this fails also if the files in the directory are out of reach.
        names = sorted(entry.name for entry in os.scandir(f"{directory}/."))
    except OSError as error:
        faults.add(
            Location(str(directory)), _UNREAD.get(type(error), f"the directory cannot be read: {error.strerror}")
        )
        raise InputError(f"register {directory}", faults) from error
    _check_names(directory, names, faults)
    policy = read_policy(directory, faults)
    probes = read_probes(directory, faults)
    tables = {
        "agencies": agencies_table(directory, faults),
        "services": services_table(directory, faults),
        "links": links_table(directory, faults),
        "endpoints": endpoints_table(directory, faults),
    }
    register = _assemble(directory, faults, policy, probes, tables)
    check_probes(probes, policy, faults)
    _check_bus(policy, tables["endpoints"])
    check_links(tables["links"], register)
    if faults:
        raise InputError(f"register {directory}", dict.fromkeys(faults))
    return LoadedRegister(with_versions(register), _places(policy, tables), tuple(sorted(faults.warnings)))


def _assemble(
    directory: Path, faults: FaultList, policy: PolicyReading, probes: ProbeDefinitions, tables: Mapping[str, CsvTable]
) -> Register:
    agency_ids = tables["agencies"].ids
    services = by_id(read_service(row, agency_ids) for row in tables["services"].rows)
    context = ReadContext(
        agencies=agency_ids,
        services=tables["services"].ids,
        owners=services,
        probes=probes,
        vantages=policy.vantages,
        policy=policy.policy,
    )
    links = by_id(read_link(row, context) for row in tables["links"].rows)
    members = read_members(directory, faults, agency_ids)
    return Register(
        agencies=by_id(read_agency(row, agency_ids) for row in tables["agencies"].rows),
        services=services,
        links=links,
        endpoints=by_id(read_endpoint(row, context) for row in tables["endpoints"].rows),
        probes={name: probes.definitions[name].probe for name in sorted(probes.definitions)},
        policy=policy.policy,
        members=members,
        routes=read_routes(directory, faults, tables["links"].ids, links, owners=services, members=members),
        maintenance=read_maintenance(directory, faults, _subjects(tables), policy.zone),
        evaluation=read_evaluation(directory, faults),
        announcements=read_announcements(directory, faults, agency_ids, tables["links"].ids, policy.zone),
        objections=read_objections(directory, faults, tables["links"].ids, policy.zone),
        holidays=read_holidays(directory, faults),
        reviews=read_reviews(directory, faults),
    )


def _check_names(directory: Path, names: Sequence[str], faults: FaultList) -> None:
    """Find misspelt names of optional files, which would otherwise be ignored without a fault."""
    for name in names:
        similar = get_close_matches(name, OPTIONAL, 1, 0.8)
        if similar and name not in OPTIONAL and similar[0] not in names:
            faults.add(Location(str(directory / name)), f"no such file is read: is it meant to be {similar[0]}?")


def _subjects(tables: Mapping[str, CsvTable]) -> set[str] | None:
    """Return the ids that a maintenance can name; None when some are unknown."""
    declared = [tables[section].ids for section in ("agencies", "links", "endpoints")]
    return None if None in declared else {name for ids in declared for name in ids or ()}


def _check_bus(policy: PolicyReading, endpoints: CsvTable) -> None:
    bus = policy.policy.bus
    if bus is not None and policy.mapping is not None and endpoints.ids is not None and bus not in endpoints.ids:
        policy.mapping.fault("bus", f"`{bus}` is not in endpoints.csv")


def _places(policy: PolicyReading, tables: Mapping[str, CsvTable]) -> dict[tuple[str, str], Location]:
    locations = {
        (section, name): location for section, table in tables.items() for name, location in (table.ids or {}).items()
    }
    if policy.mapping is not None:
        for key in ("slot_seconds", "timezone", "epoch"):
            locations["policy", key] = policy.mapping.at(key)
    return locations
