"""Reads links.csv and endpoints.csv, the targets of probes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.core.model import ALWAYS, Endpoint, Link, Policy, Service
from services.core.texts import fold
from services.register.directory.agencies import AGENCIES, SERVICES
from services.register.directory.notices import read_legal_basis
from services.register.directory.params import read_params, read_target_cell
from services.register.faults import FaultList, Location
from services.register.probes import ProbeDefinition, ProbeDefinitions
from services.register.reading import CsvRow, CsvTable, read_count, read_day, read_id, read_slo, read_table, read_weight

LINKS = "links.csv"
ENDPOINTS = "endpoints.csv"
_PROBED = ("probe", "target", "params", "vantages")
_LIMITS = ("latency_ms", "max_age_s", "slo", "weight")
_LINK_OPTIONAL = ("required_from", "required_until", "live_from", *_PROBED, *_LIMITS, "legal_basis")


@dataclass(frozen=True, slots=True)
class ReadContext:
    """The parts of a register that targets refer to; None stands for a file that could not be read."""

    agencies: Mapping[str, Location] | None
    services: Mapping[str, Location] | None
    owners: Mapping[str, Service]
    probes: ProbeDefinitions
    vantages: Mapping[str, Location] | None
    policy: Policy


def links_table(directory: Path, faults: FaultList) -> CsvTable:
    """Return the rows of links.csv."""
    required = ("id", "service", "provider", "data_item")
    table = read_table(directory / LINKS, faults, required=required, optional=_LINK_OPTIONAL, key="id")
    if any(row.text("probe") and "live_from" not in row.cells for row in table.rows):
        reason = "column `live_from` is missing: without it every link counts as absent, yet some have a probe"
        faults.add(Location(str(directory / LINKS), 1, 1), reason)
    return table


def endpoints_table(directory: Path, faults: FaultList) -> CsvTable:
    """Return the rows of endpoints.csv."""
    required = ("id", "agency", "probe", "target")
    optional = ("service", "params", "vantages", "latency_ms")
    return read_table(directory / ENDPOINTS, faults, required=required, optional=optional, key="id")


def read_link(row: CsvRow, context: ReadContext) -> Link:
    """Read one link, with the policy's defaults filled in."""
    service = row.reference("service", context.services, SERVICES, required=True)
    provider = row.reference("provider", context.agencies, AGENCIES, required=True)
    if service in context.owners and context.owners[service].agency == provider:
        row.fault("provider", f"`{provider}` owns service `{service}` itself: a link needs another agency")
    live_from = row.read("live_from", lambda text: ALWAYS if fold(text) == "always" else read_day(text), None)
    definition = _definition(row, context, required=live_from is not None)
    latency = row.read("latency_ms", read_count, context.policy.default_latency_ms)
    _check_timeout(row, definition, latency)
    required_from = row.read("required_from", read_day, None)
    required_until = row.read("required_until", read_day, None)
    if required_from and required_until and required_until <= required_from:
        row.fault("required_until", "is not after required_from")
    records = read_params(row)
    return Link(
        id=row.read("id", read_id, ""),
        service=service,
        provider=provider,
        data_item=row.need("data_item", fold, ""),
        required_from=required_from,
        required_until=required_until,
        live_from=live_from,
        probe=fold(row.text("probe")),
        target=read_target_cell(row, definition, records, required=live_from is not None),
        params=records or ({},),
        vantages=_vantages(row, context.vantages),
        latency_ms=latency,
        max_age_s=row.read("max_age_s", read_count, context.policy.default_max_age_s),
        slo=row.read("slo", read_slo, 0.95),
        weight=row.read("weight", read_weight, 1.0),
        legal_basis=row.read("legal_basis", read_legal_basis, None),
    )


def read_endpoint(row: CsvRow, context: ReadContext) -> Endpoint:
    """Read one endpoint; without a latency of its own it is judged by the policy's default."""
    definition = _definition(row, context, required=True)
    latency = row.read("latency_ms", read_count, None)
    _check_timeout(row, definition, latency or context.policy.default_latency_ms)
    records = read_params(row)
    return Endpoint(
        id=row.read("id", read_id, ""),
        agency=row.reference("agency", context.agencies, AGENCIES, required=True),
        service=row.reference("service", context.services, SERVICES) or None,
        probe=fold(row.text("probe")),
        target=read_target_cell(row, definition, records, required=True),
        params=records or ({},),
        vantages=_vantages(row, context.vantages),
        latency_ms=latency,
    )


def _definition(row: CsvRow, context: ReadContext, *, required: bool) -> ProbeDefinition | None:
    if required and not row.text("probe"):
        row.fault("probe", "is empty: what is live must be probed")
    definition = context.probes.definitions.get(row.reference("probe", context.probes.ids, "probes.yaml"))
    return definition if definition is not None and definition.sound else None


def _check_timeout(row: CsvRow, definition: ProbeDefinition | None, latency_ms: int) -> None:
    """Check that the probe waits up to twice the latency limit, which judging again needs (docs/method.md §7.6)."""
    if definition is not None and definition.probe.timeout * 1000 < 2 * latency_ms:
        column = "latency_ms" if row.text("latency_ms") else "probe"
        name, timeout = definition.probe.name, definition.probe.timeout
        row.fault(
            column, f"the timeout of probe `{name}`, {timeout:g} s, is below twice the latency limit of {latency_ms} ms"
        )


def _vantages(row: CsvRow, ids: Mapping[str, Location] | None) -> tuple[str, ...]:
    """Read ids separated by spaces or semicolons."""
    vantages = set()
    for name in re.split(r"[;\s]+", fold(row.text("vantages"))):
        if name and ids is not None and name not in ids:
            row.fault("vantages", f"`{name}` is not a vantage of policy.yaml")
        vantages.add(name)
    return tuple(sorted(vantages - {""}))
