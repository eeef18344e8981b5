"""The findings of a whole record, by the same code as live (docs/method.md §12)."""

from __future__ import annotations

from services.core.model import Finding
from services.indicator.findings.detector import Detector
from services.indicator.findings.inputs import FlowCounts


def find_all(detector: Detector, counts: FlowCounts) -> list[Finding]:
    """Have a detector judge consecutive steps; return every finding as it stood at the end, in the order in which they were found."""
    found: dict[str, Finding] = {}
    for step in counts.steps(detector.settings.step_seconds):
        detector.advance(step).apply_to(found)
    return list(found.values())
