"""The findings of a whole record, by the same code as live (docs/method.md §12)."""

from __future__ import annotations

from services.core.model import Finding
from services.indicator.findings.detector import Detector
from services.indicator.findings.inputs import FlowCounts


def find_all(detector: Detector, counts: FlowCounts) -> list[Finding]:
    """Judge consecutive steps with a detector; return every finding as it stood at the end, in the order found."""
    found: dict[str, Finding] = {}
    for step in counts.steps(detector.settings.step_seconds):
        detector.advance(step).apply_to(found)
    return list(found.values())
