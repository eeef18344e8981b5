"""Counts that the prober keeps by itself are metrics like others."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from services.core.model.outcome import Outcome
from services.prober.tallies import Counts


def test_counts_can_be_asked_for_alone() -> None:
    """/metrics?name[]= finds them, as `peyvand up` asks for its probes per second."""
    registry = CollectorRegistry()
    counts = Counts("peyvand_probe_outcomes_total", Outcome)
    registry.register(counts)
    counts.of[Outcome.OK] = 3
    text = generate_latest(registry.restricted_registry(["peyvand_probe_outcomes_total"])).decode()
    assert 'peyvand_probe_outcomes_total{outcome="ok"} 3.0' in text
