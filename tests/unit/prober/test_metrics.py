"""The prober's metrics show its own punctuality."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.core.metrics import TABLE, LocalCounter, LocalHistogram
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Probe
from services.prober.assignments import Assignment
from services.prober.metrics import ProberMetrics
from services.prober.scheduling.schedule import ScheduleEntry


def row(reason: Reason, name: str = "a") -> Measurement:
    return Measurement(Target(name), "main", 300, 300.5, reason.outcome, reason)


def assignment(target: Target) -> Assignment:
    return Assignment(
        ScheduleEntry(target, 5.0), Probe("page", "http"), "consumer", "provider", "http://a", ({},), 1.0, None
    )


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> ProberMetrics:
    return ProberMetrics(registry)


@pytest.mark.usefixtures("metrics")
def test_33_lag_overruns_and_skips_exist_from_the_start(registry: CollectorRegistry) -> None:
    """Before the first probe every counter of lateness is zero, and one prober is alive."""
    names = ("probe_schedule_lag_seconds_count", "probe_overruns_total", "probe_shed_total", "probe_leapt_slots_total")
    assert [registry.get_sample_value(f"peyvand_{name}") for name in names] == [0, 0, 0, 0]
    assert registry.get_sample_value("peyvand_probe_peers") == 1


def test_33_lag_overruns_and_skips_are_counted(metrics: ProberMetrics, registry: CollectorRegistry) -> None:
    """Each late start, overrun, shed launch and leapt slot counts once, in its own metric and no other."""
    for seconds in (-0.0005, 0.003, 0.2, 7.0):
        metrics.lag.observe(seconds)
    for reason in (Reason.OK, Reason.OVERRUN, Reason.SHED, Reason.SHED, Reason.ANSWER_TIMEOUT):
        metrics.count_measurement(row(reason), 0, 0.0)
    metrics.leapt_slots.inc(5)
    lag = "peyvand_probe_schedule_lag_seconds"
    assert registry.get_sample_value(f"{lag}_count") == 4
    assert registry.get_sample_value(f"{lag}_sum") == pytest.approx(7.203)
    assert registry.get_sample_value(f"{lag}_bucket", {"le": "0.005"}) == 2
    assert registry.get_sample_value(f"{lag}_bucket", {"le": "1.0"}) == 3
    assert registry.get_sample_value("peyvand_probe_overruns_total") == 1
    assert registry.get_sample_value("peyvand_probe_shed_total") == 2
    assert registry.get_sample_value("peyvand_probe_leapt_slots_total") == 5
    assert registry.get_sample_value("peyvand_probe_outcomes_total", {"outcome": "unknown"}) == 3


def test_with_many_targets_only_expiring_certificates_are_exposed(
    metrics: ProberMetrics, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With too many targets for series of each, a limited number of those with expiring certificates have series. A
    target whose certificate is renewed or unknown has none any more.
    """
    monkeypatch.setattr("services.prober.metrics.SERIES_BELOW", 3)
    monkeypatch.setattr("services.prober.metrics.EXPIRING_SERIES", 1)
    soon, lasting = 300 + 29 * 86_400, 301 + 31 * 86_400

    def exposed() -> set[str]:
        families = registry.collect()
        return {one.labels["target"] for family in families for one in family.samples if "target" in one.labels}

    few = {Target(name): assignment(Target(name)) for name in ("soon", "lasts")}
    metrics.set_targets(frozenset(few), few)
    metrics.count_measurement(replace(row(Reason.OK, "soon"), certificate_expiry=soon), 200, 0.1)
    metrics.count_measurement(replace(row(Reason.OK, "lasts"), certificate_expiry=lasting), 200, 0.1)
    assert exposed() == {"soon", "lasts"}
    more = {**few, Target("later"): assignment(Target("later"))}
    metrics.set_targets(frozenset(more), more)
    assert exposed() == {"soon"}
    metrics.count_measurement(replace(row(Reason.OK, "later"), certificate_expiry=soon), 200, 0.1)
    metrics.count_measurement(row(Reason.OK, "lasts"), 200, 0.1)
    assert exposed() == {"soon"}
    labels = {"target": "soon", "consumer": "consumer", "provider": "provider"}
    assert registry.get_sample_value("probe_ssl_earliest_cert_expiry", labels) == soon
    assert registry.get_sample_value("probe_success", labels) == 1
    metrics.count_measurement(row(Reason.SHED, "soon"), 0, 0.0)
    assert exposed() == set()
    metrics.count_measurement(replace(row(Reason.OK, "later"), certificate_expiry=0), 200, 0.1)
    assert exposed() == {"later"}


def test_a_target_that_went_and_came_back_shows_nothing_old(
    metrics: ProberMetrics, registry: CollectorRegistry
) -> None:
    """A measurement of a target that was being handed over is not exposed when the target comes back."""
    here, there = Target("here"), Target("there")
    both = {target: assignment(target) for target in (here, there)}
    metrics.set_targets(frozenset({here}), both)
    metrics.count_measurement(row(Reason.OK, "here"), 200, 0.1)
    metrics.count_measurement(row(Reason.OK, "there"), 200, 0.1)
    metrics.set_targets(frozenset(both), both)
    labels = {"consumer": "consumer", "provider": "provider"}
    assert registry.get_sample_value("probe_success", {"target": "here", **labels}) == 1
    assert registry.get_sample_value("probe_success", {"target": "there", **labels}) is None
    assert registry.get_sample_value("peyvand_probe_targets", {"kind": "link"}) == 2


def test_local_metrics_can_be_requested_alone() -> None:
    """/metrics?name[]= finds them, which `peyvand up` needs for its probes per second."""
    registry = CollectorRegistry()
    outcomes = LocalCounter("peyvand_probe_outcomes_total", Outcome)
    registry.register(outcomes)
    outcomes.counts[Outcome.OK] = 3
    registry.register(LocalHistogram("peyvand_probe_schedule_lag_seconds"))
    text = generate_latest(registry.restricted_registry(["peyvand_probe_outcomes_total"])).decode()
    assert 'peyvand_probe_outcomes_total{outcome="ok"} 3.0' in text
    text = generate_latest(registry.restricted_registry(["peyvand_probe_schedule_lag_seconds_count"])).decode()
    assert "peyvand_probe_schedule_lag_seconds_count 0.0" in text


@pytest.mark.usefixtures("metrics")
@pytest.mark.parametrize("name", ["peyvand_probe_outcomes_total", "peyvand_probe_reasons_total"])
def test_the_table_has_the_number_of_series(registry: CollectorRegistry, name: str) -> None:
    """The table of metrics has the number of series, which changes with each new outcome or reason."""
    samples = [sample for family in registry.collect() for sample in family.samples if sample.name == name]
    assert len(samples) == int(TABLE[name].series)
