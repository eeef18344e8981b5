"""The findings of a whole record, by the same code as live (docs/method.md §12)."""

from __future__ import annotations

from services.core.model import Finding
from services.indicator.findings.detector import Detector
from services.indicator.findings.inputs import DetectorSettings, FlowCounts, Topology


def find_all(counts: FlowCounts, topology: Topology, settings: DetectorSettings) -> list[Finding]:
    """Return every finding of consecutive steps as it stood at the end, in the order in which they were found."""
    detector = Detector.start(topology, settings)
    found: dict[str, Finding] = {}
    for step in counts.steps(settings.step_seconds):
        changes = detector.advance(step)
        for withdrawn in changes.withdrawn:
            found.pop(withdrawn, None)
        for finding in (*changes.opened, *changes.updated, *changes.ended):
            found[finding.id] = finding
    return list(found.values())
