"""Findings as values."""

from __future__ import annotations

from services.core.model import FindingKind, FindingScope, finding_id


def test_id_follows_from_what_departs_where_and_since_when() -> None:
    """A finding has the same id wherever it is computed, and another for another kind, scope, subject or start."""
    found = finding_id(FindingKind.SILENCE, FindingScope.PROVIDER, "customs", 3600)
    assert found == "dc151afd2d3e2a5d"
    others = {
        finding_id(FindingKind.FALL, FindingScope.PROVIDER, "customs", 3600),
        finding_id(FindingKind.SILENCE, FindingScope.CONSUMER, "customs", 3600),
        finding_id(FindingKind.SILENCE, FindingScope.PROVIDER, "police", 3600),
        finding_id(FindingKind.SILENCE, FindingScope.PROVIDER, "customs", 7200),
    }
    assert found not in others
    assert len(others) == 4
