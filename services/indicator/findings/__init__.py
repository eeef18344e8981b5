"""Traffic that is not as it should be: what is expected, evidence against it, one cause a finding (docs/method.md §12)."""

from services.indicator.findings.detector import Detector, FindingChanges
from services.indicator.findings.inputs import DetectorSettings, FlowCounts, StepCounts, Topology
from services.indicator.findings.offline import find_all

__all__ = ["Detector", "DetectorSettings", "FindingChanges", "FlowCounts", "StepCounts", "Topology", "find_all"]
