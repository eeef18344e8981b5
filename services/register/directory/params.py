"""The params of a link or endpoint: one test record or several, and whether each fills in all that asks for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from services.core.errors import Fault
from services.core.model import BUS_KINDS, Probe, fill_placeholders, fill_probe, partial_texts, placeholders, sent_texts
from services.register.probes import GIVEN_VARIABLES, ProbeDefinition, is_grpc_request, is_soap_action, is_soap_message
from services.register.reading import CsvRow, FaultList, holds_control, read_domain, read_target, unfit_for_grpc

__all__ = ["read_params", "read_target_cell"]


def read_params(row: CsvRow) -> tuple[dict[str, object], ...] | None:
    """Return the records of a row, one that is empty where the cell is; None, with a fault, when they cannot be used."""
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
        records = value if isinstance(value, list) else [value]
        if records and all(isinstance(record, dict) for record in records):
            return tuple(records)
        row.fault("params", "is neither a JSON object nor a list of them")
    return None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not a JSON number")


def read_target_cell(
    row: CsvRow, definition: ProbeDefinition | None, records: tuple[Mapping[str, object], ...] | None, *, required: bool
) -> str:
    """Return the target as written; each record must fill it, and everything else its probe sends or expects."""
    text = row.text("target")
    if not text:
        if required:
            row.fault("target", "is empty: what is live must be probed")
        return ""
    wanted = row.findings.attempt(row.at("target"), "target", placeholders, text, None)
    if wanted is None:
        return text
    if definition is not None:
        wanted |= definition.names
    found = [_faults(row, definition, record, text, wanted) for record in records or ()]
    common = [fault for fault in found[0] if all(fault in faults for faults in found)] if found else []
    row.findings.faults += common
    for number, faults in enumerate(found, 1):
        row.findings.faults += [
            replace(fault, reason=f"record {number}: {fault.reason}") for fault in faults if fault not in common
        ]
    return text


def _faults(
    row: CsvRow, definition: ProbeDefinition | None, record: Mapping[str, object], target: str, wanted: frozenset[str]
) -> list[Fault]:
    """Return what is wrong with one record."""
    row = replace(row, findings=FaultList())
    missing = sorted(wanted - record.keys())
    for name in missing:
        row.fault("params", f"`{name}` is missing, which the target or probe asks for by `${{{name}}}`")
    if not missing:
        _check_filled(row, definition, record, target)
    return row.findings.faults


def _check_filled(row: CsvRow, definition: ProbeDefinition | None, params: Mapping[str, object], target: str) -> None:
    url = row.findings.attempt(row.at("params"), "params", lambda text: fill_placeholders(text, params), target, None)
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


def _check_texts(row: CsvRow, probe: Probe, params: Mapping[str, object]) -> None:
    before = len(row.findings.faults)
    for text in dict.fromkeys((*sent_texts(probe), *partial_texts(probe))):
        row.findings.attempt(row.at("params"), "params", lambda text: fill_placeholders(text, params), text, None)
    if len(row.findings.faults) > before:
        return
    _check_sent(row, fill_probe(probe, params))
    for key in ("client", "service") if probe.kind in BUS_KINDS else ():
        written = getattr(probe, key)
        if written and not all(fill_placeholders(part, params).strip() for part in written.split("/")):
            row.fault("params", f"they leave a part of `{key}` empty")


def _check_steps(row: CsvRow, journey: Probe, params: Mapping[str, object], url: str) -> None:
    """Check each step of a journey, as far as it can be known without what earlier steps capture."""
    captured: dict[str, object] = {}
    for name in sorted(params.keys() & GIVEN_VARIABLES.union(*(step.capture for step in journey.steps))):
        row.fault("params", f"`{name}` is given or captured by the steps of probe `{journey.name}` themselves")
    for step in journey.steps:
        known = {**params, "target": url, **captured}
        if captured.keys().isdisjoint(placeholders(step.target)):
            try:
                read_target(fill_placeholders(step.target, known), step.probe.kind)
            except ValueError as error:
                row.fault("target", f"of step `{step.probe.name}`: {error}")
        _check_texts(row, step.probe, known)
        # Something harmless stands for what will be captured, so that the rest of a text can be tried.
        captured |= dict.fromkeys(step.capture, "0")


def _check_sent(row: CsvRow, probe: Probe) -> None:
    """Check what the params have made of texts where not every character can stand."""
    _check_headers(row, probe)
    for line in probe.lines:
        if len(line.send.splitlines()) > 1:
            row.fault("params", "they put a line break into a line to send")
    if not is_soap_message(probe, probe.body):
        row.fault("params", f"they make the body of probe `{probe.name}` something that is not XML")
    if not is_grpc_request(probe, probe.body):
        row.fault("params", f"they make the body of probe `{probe.name}` something that is not JSON")
    if probe.kind == "dns":
        row.findings.attempt(row.at("params"), "params", read_domain, probe.query.name, "")


def _check_headers(row: CsvRow, probe: Probe) -> None:
    """Check what stands in headers, of HTTP, gRPC or messages of X-Road."""
    for name, text in probe.headers.items():
        unfit = unfit_for_grpc(name, text) if probe.kind == "grpc" else ""
        if unfit:
            row.fault("params", f"with them header `{name}` {unfit}")
        elif holds_control(text):
            row.fault("params", f"they put a control character into header `{name}`")
    for key in ("action", "client", "service", "user_id"):
        if holds_control(getattr(probe, key)):
            row.fault("params", f"they put a control character into `{key}`")
    if not is_soap_action(probe.action):
        row.fault("params", "they put a quote or a backslash into `action`")
