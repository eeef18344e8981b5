"""Finds unusual traffic: what is expected, the evidence against it, and one cause per finding (docs/method.md §12)."""

from services.indicator.findings.detector import Detector, FindingChanges
from services.indicator.findings.inputs import DetectorSettings, FlowCounts, StepCounts, Topology
from services.indicator.findings.offline import find_all

__all__ = ["Detector", "DetectorSettings", "FindingChanges", "FlowCounts", "StepCounts", "Topology", "find_all"]
