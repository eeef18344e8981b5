"""links.csv and endpoints.csv: what is probed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from services.core.model import ALWAYS, Endpoint, Link, Policy, Service
from services.register.directory.agencies import AGENCIES, SERVICES
from services.register.directory.params import read_params, read_target_cell
from services.register.probes import ProbeDefinition, ProbeDefinitions
from services.register.reading import (
    CsvRow,
    CsvTable,
    FaultList,
    Location,
    fold,
    read_count,
    read_day,
    read_id,
    read_slo,
    read_table,
    read_weight,
)

__all__ = ["ENDPOINTS", "LINKS", "ReadContext", "endpoints_table", "links_table", "read_endpoint", "read_link"]

LINKS = "links.csv"
ENDPOINTS = "endpoints.csv"
_PROBED = ("probe", "target", "params", "vantages")
_LINK_OPTIONAL = ("required_from", "required_until", "live_from", *_PROBED, "latency_ms", "max_age_s", "slo", "weight")


@dataclass(frozen=True, slots=True)
class ReadContext:
    """The rest of the register, as far as targets refer to it; None for a file that could not be read."""

    agencies: Mapping[str, Location] | None
    services: Mapping[str, Location] | None
    owners: Mapping[str, Service]
    probes: ProbeDefinitions
    vantages: Mapping[str, Location] | None
    policy: Policy


def links_table(directory: Path, findings: FaultList) -> CsvTable:
    """Return the rows of links.csv."""
    required = ("id", "service", "provider", "data_item")
    table = read_table(directory / LINKS, findings, required=required, optional=_LINK_OPTIONAL, key="id")
    if any(row.text("probe") and "live_from" not in row.cells for row in table.rows):
        reason = "column `live_from` is missing: without it every link counts as absent, yet some have a probe"
        findings.add(Location(str(directory / LINKS), 1, 1), reason)
    return table


def endpoints_table(directory: Path, findings: FaultList) -> CsvTable:
    """Return the rows of endpoints.csv."""
    required = ("id", "agency", "probe", "target")
    optional = ("service", "params", "vantages")
    return read_table(directory / ENDPOINTS, findings, required=required, optional=optional, key="id")


def read_link(row: CsvRow, around: ReadContext) -> Link:
    """One link, with the policy's defaults filled in."""
    for column in ("service", "provider", "data_item"):
        if not row.text(column):
            row.fault(column, "is empty")
    service = row.reference("service", around.services, SERVICES)
    provider = row.reference("provider", around.agencies, AGENCIES)
    if service in around.owners and around.owners[service].agency == provider:
        row.fault("provider", f"`{provider}` owns service `{service}` itself: a link needs another agency")
    live_from = row.read("live_from", _read_live, None)
    definition = _definition(row, around, required=live_from is not None)
    latency = row.read("latency_ms", read_count, around.policy.default_latency_ms)
    _check_timeout(row, definition, latency)
    required_from, required_until = (
        row.read("required_from", read_day, None),
        row.read("required_until", read_day, None),
    )
    if required_from and required_until and required_until <= required_from:
        row.fault("required_until", "is not after required_from")
    records = read_params(row)
    return Link(
        id=row.read("id", read_id, ""),
        service=service,
        provider=provider,
        data_item=fold(row.text("data_item")),
        required_from=required_from,
        required_until=required_until,
        live_from=live_from,
        probe=fold(row.text("probe")),
        target=read_target_cell(row, definition, records, required=live_from is not None),
        params=records or ({},),
        vantages=_vantages(row, around.vantages),
        latency_ms=latency,
        max_age_s=row.read("max_age_s", read_count, around.policy.default_max_age_s),
        slo=row.read("slo", read_slo, 0.95),
        weight=row.read("weight", read_weight, 1.0),
    )


def read_endpoint(row: CsvRow, around: ReadContext) -> Endpoint:
    """One endpoint; it is judged by the policy's default latency."""
    if not row.text("agency"):
        row.fault("agency", "is empty")
    definition = _definition(row, around, required=True)
    _check_timeout(row, definition, around.policy.default_latency_ms)
    records = read_params(row)
    return Endpoint(
        id=row.read("id", read_id, ""),
        agency=row.reference("agency", around.agencies, AGENCIES),
        service=row.reference("service", around.services, SERVICES) or None,
        probe=fold(row.text("probe")),
        target=read_target_cell(row, definition, records, required=True),
        params=records or ({},),
        vantages=_vantages(row, around.vantages),
    )


def _read_live(text: str) -> date:
    return ALWAYS if fold(text) == "always" else read_day(text)


def _definition(row: CsvRow, around: ReadContext, *, required: bool) -> ProbeDefinition | None:
    if required and not row.text("probe"):
        row.fault("probe", "is empty: what is live must be probed")
    definition = around.probes.definitions.get(row.reference("probe", around.probes.ids, "probes.yaml"))
    return definition if definition is not None and definition.sound else None


def _check_timeout(row: CsvRow, definition: ProbeDefinition | None, latency_ms: int) -> None:
    """Check that answers twice as slow as the limit are waited for: judging again needs them (docs/method.md §7)."""
    if definition is not None and definition.probe.timeout * 1000 < 2 * latency_ms:
        column = "latency_ms" if row.text("latency_ms") else "probe"
        name, timeout = definition.probe.name, definition.probe.timeout
        row.fault(
            column, f"the timeout of probe `{name}`, {timeout:g} s, is below twice the latency limit of {latency_ms} ms"
        )


def _vantages(row: CsvRow, known: Mapping[str, Location] | None) -> tuple[str, ...]:
    """Ids between spaces or semicolons."""
    found = set()
    for name in re.split(r"[;\s]+", fold(row.text("vantages"))):
        if name and known is not None and name not in known:
            row.fault("vantages", f"`{name}` is not a vantage of policy.yaml")
        found.add(name)
    return tuple(sorted(found - {""}))
