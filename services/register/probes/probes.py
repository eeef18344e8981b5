"""Reads probes.yaml, the named probe definitions (docs/probing.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.core.model import Probe, template_texts
from services.register.faults import FaultList, Location
from services.register.probes.definition import read_definition
from services.register.probes.journey import GIVEN_VARIABLES, placeholders_of
from services.register.reading import YamlMapping, read_document, read_id

FILE = "probes.yaml"


@dataclass(frozen=True, slots=True)
class ProbeDefinition:
    """A probe with the locations of its definition and timeout, and the ``names`` that params must have.

    Links and endpoints are checked against it only if it is ``sound``, that is, without faults.
    """

    probe: Probe
    location: Location
    timeout: Location
    names: frozenset[str]
    sound: bool


@dataclass(frozen=True, slots=True)
class ProbeDefinitions:
    """The definitions that can be read, and all declared names; ``ids`` is None when the file cannot be read."""

    definitions: Mapping[str, ProbeDefinition]
    ids: Mapping[str, Location] | None


def read_probes(directory: Path, faults: FaultList) -> ProbeDefinitions:
    """Read every probe definition of a register directory."""
    document = read_document(directory / FILE, faults, keys=None)
    if document is None:
        return ProbeDefinitions({}, None)
    definitions: dict[str, ProbeDefinition] = {}
    for name, location in document.keys.items():
        faults.attempt(location, "probe", read_id, name, "")
        mapping = document.mapping(name, None)
        if mapping is not None:
            definitions[name] = _definition(name, location, mapping)
    return ProbeDefinitions(definitions, document.keys)


def _definition(name: str, location: Location, mapping: YamlMapping) -> ProbeDefinition:
    before = len(mapping.faults)
    probe = read_definition(name, mapping)
    return ProbeDefinition(
        probe=probe,
        location=location,
        timeout=mapping.at("timeout") if "timeout" in mapping else location,
        names=required_params(probe),
        sound=len(mapping.faults) == before,
    )


def required_params(probe: Probe) -> frozenset[str]:
    """Return the names that params must have for a definition; a journey's steps need only those not captured before."""
    names = placeholders_of(template_texts(probe))
    captured = GIVEN_VARIABLES
    for step in probe.steps:
        names |= placeholders_of((step.target, *template_texts(step.probe))) - captured
        captured |= step.capture.keys()
    return names
