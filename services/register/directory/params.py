"""Reads the params of a link or endpoint, one test record or several. Each must fill every placeholder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from services.core.model import BUS_KINDS, Probe, fill_placeholders, fill_probe, partial_texts, placeholders, sent_texts
from services.register.faults import FaultList
from services.register.probes import (
    GIVEN_VARIABLES,
    ProbeDefinition,
    is_grpc_request,
    is_line,
    is_soap_action,
    is_soap_message,
)
from services.register.reading import (
    CsvRow,
    holds_control,
    is_exposed,
    parse_json,
    read_domain,
    read_target,
    unfit_for_grpc,
)


def read_params(row: CsvRow) -> tuple[dict[str, object], ...] | None:
    """Read the records of a row; an empty cell is one empty record. None, with a fault, when they cannot be used."""
    try:
        value = parse_json(row.text("params") or "{}", _object)
    except json.JSONDecodeError as error:
        row.fault("params", f"not JSON: {error.msg} at character {error.pos + 1}")
    except ValueError as error:
        row.fault("params", f"not JSON we can use: {error}")
    else:
        records = value if isinstance(value, list) else [value]
        if records and all(isinstance(record, dict) for record in records):
            return tuple(records)
        row.fault("params", "is neither a JSON object nor a list of them")
    return None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key is there twice")
    return value


def read_target_cell(
    row: CsvRow, definition: ProbeDefinition | None, records: tuple[Mapping[str, object], ...] | None, *, required: bool
) -> str:
    """Return the target as written; each record must fill its placeholders and those of its probe."""
    text = row.text("target")
    if not text:
        if required:
            row.fault("target", "is empty: what is live must be probed")
        return ""
    names = row.faults.attempt(row.at("target"), "target", placeholders, text, None)
    if names is None:
        return text
    if definition is not None:
        names |= definition.names
    by_record = [_faults(row, definition, record, text, names) for record in records or ()]
    row.faults.warnings.extend(dict.fromkeys(warning for faults in by_record for warning in faults.warnings))
    common = [fault for fault in by_record[0] if all(fault in faults for faults in by_record)] if by_record else []
    row.faults.extend(common)
    for number, faults in enumerate(by_record, 1):
        row.faults.extend(
            replace(fault, reason=f"record {number}: {fault.reason}") for fault in faults if fault not in common
        )
    return text


def _faults(
    row: CsvRow, definition: ProbeDefinition | None, record: Mapping[str, object], target: str, names: frozenset[str]
) -> FaultList:
    row = replace(row, faults=FaultList())
    missing = sorted(names - record.keys())
    for name in missing:
        row.fault("params", f"`{name}` is missing, but the target or probe contains `${{{name}}}`")
    if not missing:
        _check_filled(row, definition, record, target)
    return row.faults


def _check_filled(row: CsvRow, definition: ProbeDefinition | None, params: Mapping[str, object], target: str) -> None:
    url = row.faults.attempt(row.at("params"), "params", lambda text: fill_placeholders(text, params), target, None)
    if definition is None:
        if url is not None:
            row.faults.attempt(row.at("target"), "target", lambda text: read_target(text, None), url, None)
        return
    probe = definition.probe
    if url is not None:
        url = row.faults.attempt(row.at("target"), "target", lambda text: read_target(text, probe.kind), url, None)
    _check_texts(row, probe, params)
    if url is not None:
        _warn_of_exposure(row, probe, url)
        if probe.steps:
            _check_steps(row, probe, params, url)


def _warn_of_exposure(row: CsvRow, probe: Probe, url: str) -> None:
    if probe.auth.kind != "none" and is_exposed(url):
        row.warn("target", f"the secret of probe `{probe.name}` goes over the network unencrypted: use TLS")


def _check_texts(row: CsvRow, probe: Probe, params: Mapping[str, object]) -> None:
    before = len(row.faults)
    for text in dict.fromkeys((*sent_texts(probe), *partial_texts(probe))):
        row.faults.attempt(row.at("params"), "params", lambda text: fill_placeholders(text, params), text, None)
    if len(row.faults) > before:
        return
    _check_sent(row, fill_probe(probe, params))
    for key in ("client", "service") if probe.kind in BUS_KINDS else ():
        written = getattr(probe, key)
        if written and not all(fill_placeholders(part, params).strip() for part in written.split("/")):
            row.fault("params", f"they leave a part of `{key}` empty")


def _check_steps(row: CsvRow, journey: Probe, params: Mapping[str, object], url: str) -> None:
    """Check each step of a journey, as far as possible without the values that earlier steps capture."""
    captured: dict[str, object] = {}
    for name in sorted(params.keys() & GIVEN_VARIABLES.union(*(step.capture for step in journey.steps))):
        row.fault("params", f"`{name}` is given or captured by the steps of probe `{journey.name}` themselves")
    for step in journey.steps:
        variables = {**params, "target": url, **captured}
        try:
            _warn_of_exposure(row, step.probe, read_target(fill_placeholders(step.target, variables), step.probe.kind))
        except ValueError as error:
            if captured.keys().isdisjoint(placeholders(step.target)):
                row.fault("target", f"of step `{step.probe.name}`: {error}")
        _check_texts(row, step.probe, variables)
        # A harmless value stands in for the captured one, so that the rest of a text can be checked.
        captured |= dict.fromkeys(step.capture, "0")


def _check_sent(row: CsvRow, probe: Probe) -> None:
    """Check filled texts in which some characters are not allowed."""
    _check_headers(row, probe)
    if not all(is_line(line.send) for line in probe.lines):
        row.fault("params", "they put a line break into a line to send")
    if not is_soap_message(probe, probe.body):
        row.fault("params", f"they make the body of probe `{probe.name}` something that is not XML")
    if not is_grpc_request(probe, probe.body):
        row.fault("params", f"they make the body of probe `{probe.name}` something that is not JSON")
    if probe.kind == "dns":
        row.faults.attempt(row.at("params"), "params", read_domain, probe.query.name, "")


def _check_headers(row: CsvRow, probe: Probe) -> None:
    """Check texts that are sent in headers of HTTP, gRPC or X-Road messages."""
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
