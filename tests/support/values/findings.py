"""Findings as values, for tests of code that shows them."""

from __future__ import annotations

from typing import Any

from services.core.model import Finding, FindingKind, FindingScope, ProbeView, finding_id

__all__ = ["FLOW", "SINCE", "finding"]

SINCE = 1_795_780_800
"""12:00 UTC of 27 November 2026, 15:30 in Tehran."""

FLOW = "bus land-registry civil-registry/title-deed/civil-status"
"""Calls that belong to link deed-civil of the register that tests use."""


def finding(
    kind: FindingKind = FindingKind.SILENCE,
    scope: FindingScope = FindingScope.FLOW,
    subject: str = FLOW,
    since: int = SINCE,
    **changes: Any,
) -> Finding:
    """Return a finding, by default of a flow that stopped."""
    usual: dict[str, Any] = {
        "found_at": since + 7_200,
        "ended_at": None,
        "step_seconds": 3_600,
        "seen": 0.0,
        "expected": 207.4,
        "expected_low": 184.1,
        "expected_high": 230.9,
        "chance": 3.4e-8,
        "flows": (FLOW,),
        "flow_count": 1,
        "probes": ProbeView.PASS,
    }
    name = finding_id(kind, scope, subject, since)
    return Finding(id=name, kind=kind, scope=scope, subject=subject, since=since, **{**usual, **changes})
