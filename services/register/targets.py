"""links.csv and endpoints.csv: what is probed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from services.core.definition import Probe
from services.core.model import ALWAYS, Endpoint, Link, Policy, Service
from services.register.address import read_domain, read_target
from services.register.agencies import AGENCIES, SERVICES
from services.register.call import is_request
from services.register.findings import Findings, Place
from services.register.message import is_message
from services.register.probes import Definition, Probes
from services.register.steps import GIVEN
from services.register.table import Row, Table, read_table
from services.register.template import fill, names, partial_texts, sent_texts
from services.register.text import fold, read_count, read_day, read_id, read_slo, read_weight

__all__ = ["ENDPOINTS", "LINKS", "Around", "endpoint", "endpoints_table", "link", "links_table"]

LINKS = "links.csv"
ENDPOINTS = "endpoints.csv"
_PROBED = ("probe", "target", "params", "vantages")
_LINK_OPTIONAL = ("required_from", "required_until", "live_from", *_PROBED, "latency_ms", "max_age_s", "slo", "weight")


@dataclass(frozen=True, slots=True)
class Around:
    """The rest of the register, as far as targets refer to it; None for a file that could not be read."""

    agencies: Mapping[str, Place] | None
    services: Mapping[str, Place] | None
    owners: Mapping[str, Service]
    probes: Probes
    vantages: Mapping[str, Place] | None
    policy: Policy


def links_table(directory: Path, findings: Findings) -> Table:
    """Return the rows of links.csv."""
    required = ("id", "service", "provider", "data_item")
    table = read_table(directory / LINKS, findings, required=required, optional=_LINK_OPTIONAL, key="id")
    if any(row.text("probe") and "live_from" not in row.cells for row in table.rows):
        reason = "column `live_from` is missing: without it every link counts as absent, yet some have a probe"
        findings.add(Place(str(directory / LINKS), 1, 1), reason)
    return table


def endpoints_table(directory: Path, findings: Findings) -> Table:
    """Return the rows of endpoints.csv."""
    required = ("id", "agency", "probe", "target")
    optional = ("service", "params", "vantages")
    return read_table(directory / ENDPOINTS, findings, required=required, optional=optional, key="id")


def link(row: Row, around: Around) -> Link:
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
    params = _params(row)
    return Link(
        id=row.read("id", read_id, ""),
        service=service,
        provider=provider,
        data_item=fold(row.text("data_item")),
        required_from=required_from,
        required_until=required_until,
        live_from=live_from,
        probe=fold(row.text("probe")),
        target=_target(row, definition, params, required=live_from is not None),
        params=params or {},
        vantages=_vantages(row, around.vantages),
        latency_ms=latency,
        max_age_s=row.read("max_age_s", read_count, around.policy.default_max_age_s),
        slo=row.read("slo", read_slo, 0.95),
        weight=row.read("weight", read_weight, 1.0),
    )


def endpoint(row: Row, around: Around) -> Endpoint:
    """One endpoint; it is judged by the policy's default latency."""
    if not row.text("agency"):
        row.fault("agency", "is empty")
    definition = _definition(row, around, required=True)
    _check_timeout(row, definition, around.policy.default_latency_ms)
    params = _params(row)
    return Endpoint(
        id=row.read("id", read_id, ""),
        agency=row.reference("agency", around.agencies, AGENCIES),
        service=row.reference("service", around.services, SERVICES) or None,
        probe=fold(row.text("probe")),
        target=_target(row, definition, params, required=True),
        params=params or {},
        vantages=_vantages(row, around.vantages),
    )


def _read_live(text: str) -> date:
    return ALWAYS if fold(text) == "always" else read_day(text)


def _definition(row: Row, around: Around, *, required: bool) -> Definition | None:
    if required and not row.text("probe"):
        row.fault("probe", "is empty: what is live must be probed")
    definition = around.probes.definitions.get(row.reference("probe", around.probes.ids, "probes.yaml"))
    return definition if definition is not None and definition.sound else None


def _check_timeout(row: Row, definition: Definition | None, latency_ms: int) -> None:
    """Check that answers twice as slow as the limit are waited for: judging again needs them (INDICATOR.md §7)."""
    if definition is not None and definition.probe.timeout * 1000 < 2 * latency_ms:
        column = "latency_ms" if row.text("latency_ms") else "probe"
        name, timeout = definition.probe.name, definition.probe.timeout
        row.fault(
            column, f"the timeout of probe `{name}`, {timeout:g} s, is below twice the latency limit of {latency_ms} ms"
        )


def _params(row: Row) -> dict[str, object] | None:
    """None, with a fault, when the cell is not a JSON object."""
    try:
        value = json.loads(row.text("params") or "{}", object_pairs_hook=_object, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        row.fault("params", f"not JSON: {error.msg} at character {error.pos + 1}")
    except UnicodeEncodeError:
        row.fault("params", "not JSON we can use: holds half a character (a lone surrogate)")
    except (ValueError, RecursionError) as error:
        row.fault("params", f"not JSON we can use: {error}")
    else:
        if isinstance(value, dict):
            return value
        row.fault("params", "is not a JSON object")
    return None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not a JSON number")


def _target(row: Row, definition: Definition | None, params: Mapping[str, object] | None, *, required: bool) -> str:
    """Return the target as written; the params must fill it, and everything else its probe sends or expects."""
    target = row.text("target")
    if not target:
        if required:
            row.fault("target", "is empty: what is live must be probed")
        return ""
    wanted = row.findings.attempt(row.at("target"), "target", names, target, None)
    if params is None or wanted is None:
        return target
    if definition is not None:
        wanted |= definition.names
    missing = sorted(wanted - params.keys())
    for name in missing:
        row.fault("params", f"`{name}` is missing, which the target or probe asks for by `${{{name}}}`")
    if not missing:
        _check_filled(row, definition, params, target)
    return target


def _check_filled(row: Row, definition: Definition | None, params: Mapping[str, object], target: str) -> None:
    url = row.findings.attempt(row.at("params"), "params", lambda text: fill(text, params), target, None)
    if definition is None:
        if url is not None:
            row.findings.attempt(row.at("target"), "target", lambda text: read_target(text, None), url, None)
        return
    probe = definition.probe
    if url is not None:
        url = row.findings.attempt(row.at("target"), "target", lambda text: read_target(text, probe.kind), url, None)
    _check_texts(row, probe, params)
    if probe.steps and url is not None:
        _check_steps(row, probe, params, url)


def _check_texts(row: Row, probe: Probe, params: Mapping[str, object]) -> None:
    def filled(text: str) -> str:
        return fill(text, params)

    for text in (*sent_texts(probe), *partial_texts(probe)):
        row.findings.attempt(row.at("params"), "params", filled, text, None)
    _check_sent(row, probe, filled)


def _check_steps(row: Row, journey: Probe, params: Mapping[str, object], url: str) -> None:
    """Check each step of a journey, as far as it can be known without what earlier steps capture."""
    captured: dict[str, object] = {}
    for name in sorted(params.keys() & GIVEN.union(*(step.capture for step in journey.steps))):
        row.fault("params", f"`{name}` is given or captured by the steps of probe `{journey.name}` themselves")
    for step in journey.steps:
        known = {**params, "target": url, **captured}
        if captured.keys().isdisjoint(names(step.target)):
            try:
                read_target(fill(step.target, known), step.probe.kind)
            except ValueError as error:
                row.fault("target", f"of step `{step.probe.name}`: {error}")
        _check_texts(row, step.probe, known)
        # Something harmless stands for what will be captured, so that the rest of a text can be tried.
        captured |= dict.fromkeys(step.capture, "0")


def _check_sent(row: Row, probe: Probe, filled: Callable[[str], str]) -> None:
    """Check what the params make of texts where not every character can stand."""
    at = row.at("params")
    for name, text in probe.headers.items():
        if not row.findings.attempt(at, "params", filled, text, "").isprintable():
            row.fault("params", f"they put a control character into header `{name}`")
    for line in probe.lines:
        if len(row.findings.attempt(at, "params", filled, line.send, "").splitlines()) > 1:
            row.fault("params", "they put a line break into a line to send")
    if not is_message(probe, row.findings.attempt(at, "params", filled, probe.body, probe.body)):
        row.fault("params", f"they make the body of probe `{probe.name}` something that is not XML")
    if not is_request(probe, row.findings.attempt(at, "params", filled, probe.body, "")):
        row.fault("params", f"they make the body of probe `{probe.name}` something that is not JSON")
    if probe.kind == "dns":
        name = row.findings.attempt(at, "params", filled, probe.query.name, ".")
        row.findings.attempt(at, "params", read_domain, name, "")


def _vantages(row: Row, known: Mapping[str, Place] | None) -> tuple[str, ...]:
    """Ids between spaces or semicolons."""
    found = set()
    for name in re.split(r"[;\s]+", fold(row.text("vantages"))):
        if name and known is not None and name not in known:
            row.fault("vantages", f"`{name}` is not a vantage of policy.yaml")
        found.add(name)
    return tuple(sorted(found - {""}))
