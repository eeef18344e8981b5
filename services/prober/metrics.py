"""The metrics of a prober (docs/probing.md §7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import starmap

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.core.metrics import (
    TABLE,
    Labels,
    LocalCounter,
    LocalHistogram,
    StableCollector,
    StableFamily,
    counter,
    gauge,
    histogram,
)
from services.core.model import PHASES, UNMEASURED_REASONS, Measurement, Outcome, Reason, Target
from services.prober.assignments import Assignment
from services.prober.transport import ConntrackTable

SERIES_BELOW = 2000
"""Processes with fewer targets than this expose series per target, so that a scrape does not stall the loop."""

EXPIRING_SERIES = 1000
"""With more targets, up to this many whose certificate expires soon have series, so that alerts do not miss them."""

_SOON_SECONDS = 30 * 86_400

_PER_TARGET = (
    "probe_success",
    "probe_duration_seconds",
    "probe_http_status_code",
    "probe_http_duration_seconds",
    "probe_ssl_earliest_cert_expiry",
)


class ProberMetrics:
    """The metrics of one prober. Counters start at zero; gauges are absent until they have a value."""

    def __init__(self, registry: CollectorRegistry, tracking: ConntrackTable | None = None) -> None:
        published = (reason for reason in Reason if reason not in UNMEASURED_REASONS)
        self._outcomes = LocalCounter("peyvand_probe_outcomes_total", Outcome)
        self._reasons = LocalCounter("peyvand_probe_reasons_total", published)
        self._series = _TargetSeries()
        self._overruns = counter("peyvand_probe_overruns_total", registry)
        self._shed = counter("peyvand_probe_shed_total", registry)
        self._targets = gauge("peyvand_probe_targets", registry)
        self.lag = LocalHistogram("peyvand_probe_schedule_lag_seconds")
        self.inflight = gauge("peyvand_probe_inflight", registry)
        self.peers = gauge("peyvand_probe_peers", registry)
        self.peers.set(1)
        self.leapt_slots = counter("peyvand_probe_leapt_slots_total", registry)
        self.blind = gauge("peyvand_vantage_blind", registry)
        self.unresolved = gauge("peyvand_vantage_unresolved", registry)
        self._failing = gauge("peyvand_control_failed", registry)
        self.spool_batches = gauge("peyvand_spool_batches", registry)
        self.spool_bytes = gauge("peyvand_spool_bytes", registry)
        self.dropped_batches = counter("peyvand_spool_dropped_total", registry)
        self.spool_kept = gauge("peyvand_spool_kept_bytes", registry)
        self.sent_again = counter("peyvand_spool_sent_again_total", registry)
        self.spool_damaged = gauge("peyvand_spool_damaged_files", registry)
        self.publish_seconds = histogram("peyvand_publish_seconds", registry)
        for collector in (self._outcomes, self._reasons, self._series, self.lag):
            registry.register(collector)
        registry.register(_TrackingRatio(tracking or ConntrackTable()))

    def show_failing(self, vantage: str, targets: Iterable[str]) -> None:
        """Expose which control targets fail."""
        self._failing.clear()
        for target in targets:
            self._failing.labels(vantage, target).set(1)

    def count_measurement(self, row: Measurement, status: int, duration: float) -> None:
        """Count a published measurement. ``status`` is 0 when there was no answer; ``duration`` is in seconds."""
        self._outcomes.counts[row.outcome] += 1
        self._reasons.counts[row.reason] += 1
        if row.reason is Reason.OVERRUN:
            self._overruns.inc()
        elif row.reason is Reason.SHED:
            self._shed.inc()
        self._series.keep(row, status, duration)

    def set_targets(self, targets: frozenset[Target], assignments: Mapping[Target, Assignment]) -> None:
        """Record which of the assignments are in this prober's share from now on."""
        endpoints = sum(target.endpoint for target in targets)
        self._targets.labels("link").set(len(targets) - endpoints)
        self._targets.labels("endpoint").set(endpoints)
        self._series.set_targets(targets, assignments)


class _TrackingRatio(Collector):
    """How full the connection-tracking table is at each scrape; absent where there is no table."""

    def __init__(self, tracking: ConntrackTable) -> None:
        self._tracking = tracking

    def collect(self) -> Iterator[GaugeMetricFamily]:
        ratio = self._tracking.ratio()
        if ratio is not None:
            metric = TABLE["peyvand_conntrack_ratio"]
            yield GaugeMetricFamily(metric.name, metric.help, value=ratio)


class _TargetSeries(StableCollector):
    """Series per target, made at each scrape rather than at every probe."""

    def __init__(self) -> None:
        self._last: dict[Target, tuple[Measurement, int, float]] = {}
        self._targets: frozenset[Target] = frozenset()
        self._assignments: Mapping[Target, Assignment] = {}
        self._every = True

    def keep(self, row: Measurement, status: int, duration: float) -> None:
        if row.target not in self._targets:
            return
        if self._every or (_expires_soon(row) and (row.target in self._last or len(self._last) < EXPIRING_SERIES)):
            self._last[row.target] = (row, status, duration)
        else:
            self._last.pop(row.target, None)

    def set_targets(self, targets: frozenset[Target], assignments: Mapping[Target, Assignment]) -> None:
        """Expose only these targets. If there are many, expose those whose certificate expires soon."""
        self._every = len(targets) < SERIES_BELOW
        self._targets, self._assignments = targets, assignments
        self._last = {
            target: last
            for target, last in self._last.items()
            if target in targets and (self._every or _expires_soon(last[0]))
        }

    def families(self) -> Iterator[StableFamily]:
        values: dict[str, dict[Labels, float]] = {name: {} for name in _PER_TARGET}
        assignments = self._assignments
        for target, last in list(self._last.items()):
            assignment = assignments.get(target)
            if assignment is not None:
                _add_samples(values, (target.id, assignment.consumer, assignment.provider), *last)
        return starmap(StableFamily, values.items())


def _expires_soon(row: Measurement) -> bool:
    return row.certificate_expiry is not None and row.certificate_expiry - (row.time or 0.0) < _SOON_SECONDS


def _add_samples(
    values: dict[str, dict[Labels, float]], labels: Labels, row: Measurement, status: int, duration: float
) -> None:
    if row.outcome is not Outcome.UNKNOWN:
        values["probe_success"][labels] = float(row.outcome is Outcome.OK)
    if row.time is None:
        return
    values["probe_duration_seconds"][labels] = duration
    if status:
        values["probe_http_status_code"][labels] = status
    for phase in PHASES:
        seconds = getattr(row.phases, phase)
        if seconds is not None:
            values["probe_http_duration_seconds"][*labels, phase] = seconds
    if row.certificate_expiry is not None:
        values["probe_ssl_earliest_cert_expiry"][labels] = row.certificate_expiry
