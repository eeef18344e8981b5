"""probes.yaml: the named probe definitions (docs/probing.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from services.core.model import Probe, placeholders, template_texts
from services.register.probes.definition import read_definition
from services.register.probes.journey import GIVEN_VARIABLES
from services.register.reading import FaultList, Location, YamlMapping, read_document, read_id

__all__ = ["ProbeDefinition", "ProbeDefinitions", "read_probes", "required_params"]

FILE = "probes.yaml"


@dataclass(frozen=True, slots=True)
class ProbeDefinition:
    """A probe as defined: its value, its places, and the names it asks of params, and whether
    it has no faults (with faults, what links and endpoints ask of it is not judged).
    """

    probe: Probe
    place: Location
    timeout: Location
    names: frozenset[str]
    sound: bool


@dataclass(frozen=True, slots=True)
class ProbeDefinitions:
    """The definitions that can be read, and every name declared; None when the file cannot be read."""

    definitions: dict[str, ProbeDefinition] = field(default_factory=dict)
    ids: dict[str, Location] | None = field(default_factory=dict)


def read_probes(directory: Path, findings: FaultList) -> ProbeDefinitions:
    """Every probe definition of a register directory."""
    document = read_document(directory / FILE, findings, keys=None)
    if document is None:
        return ProbeDefinitions(ids=None)
    probes = ProbeDefinitions()
    for name in document.nodes:
        place = document.key_at(name)
        findings.attempt(place, "probe", read_id, name, "")
        assert probes.ids is not None
        probes.ids[name] = place
        block = document.block(name, None)
        if block is not None:
            probes.definitions[name] = _definition(name, place, block, directory)
    return probes


def _definition(name: str, place: Location, block: YamlMapping, directory: Path) -> ProbeDefinition:
    before = len(block.findings.faults)
    probe = read_definition(name, block, directory)
    return ProbeDefinition(
        probe=probe,
        place=place,
        timeout=block.at("timeout") if "timeout" in block else place,
        names=required_params(probe),
        sound=len(block.findings.faults) == before,
    )


def required_params(probe: Probe) -> frozenset[str]:
    """Return the names that a definition asks of params; of a journey's steps those that no earlier step captures."""
    asked = _names(template_texts(probe))
    captured = GIVEN_VARIABLES
    for step in probe.steps:
        asked |= _names((step.target, *template_texts(step.probe))) - captured
        captured |= step.capture.keys()
    return asked


def _names(written: Iterable[str]) -> frozenset[str]:
    """Names in good texts; bad ones have their fault where they stand."""
    found: set[str] = set()
    for text in written:
        try:
            found |= placeholders(text)
        except ValueError:
            continue
    return frozenset(found)
