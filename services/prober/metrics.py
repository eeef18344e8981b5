"""What a prober tells Prometheus (docs/probing.md §7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.core.metrics import TABLE, counter, gauge, histogram
from services.core.model import Measurement, Outcome, Reason, Target
from services.prober.assignments import Assignment
from services.prober.tallies import Counts, Spread
from services.prober.transport.conntrack import TrackingTable

__all__ = ["EXPIRING_SERIES", "SERIES_BELOW", "Meters"]

SERIES_BELOW = 2000
"""Series per target are exposed by processes with fewer targets than this: a scrape must not stall the loop."""

EXPIRING_SERIES = 1000
"""With more targets, so many of those whose certificate expires soon have series: alerts must not miss them."""

_SOON_SECONDS = 30 * 86_400

_NEVER_PUBLISHED = (Reason.NO_MEASUREMENT, Reason.ABSENT)
"""What the scorer says of links that nothing was published about."""

_PHASES = ("resolve", "connect", "tls", "processing", "transfer")


class Meters:
    """The metrics of one prober. Counters start at zero; gauges are absent until known."""

    def __init__(self, registry: CollectorRegistry, tracking: TrackingTable | None = None) -> None:
        self._outcomes = Counts("peyvand_probe_outcomes_total", Outcome)
        published = (reason for reason in Reason if reason not in _NEVER_PUBLISHED)
        self._reasons = Counts("peyvand_probe_reasons_total", published)
        self._lag = Spread("peyvand_probe_schedule_lag_seconds")
        self._overruns = counter("peyvand_probe_overruns_total", registry)
        self._shed = counter("peyvand_probe_shed_total", registry)
        self._inflight = gauge("peyvand_probe_inflight", registry)
        self._targets = gauge("peyvand_probe_targets", registry)
        self._peers = gauge("peyvand_probe_peers", registry)
        self._peers.set(1)
        self._leapt = counter("peyvand_probe_leapt_slots_total", registry)
        self._blind = gauge("peyvand_vantage_blind", registry)
        self._batches = gauge("peyvand_spool_batches", registry)
        self._bytes = gauge("peyvand_spool_bytes", registry)
        self._dropped = counter("peyvand_spool_dropped_total", registry)
        self._publish = histogram("peyvand_publish_seconds", registry)
        self._series = _Series()
        for collector in (self._outcomes, self._reasons, self._lag, self._series):
            registry.register(collector)
        registry.register(_Pressure(tracking or TrackingTable()))

    def watch(self, inflight: Callable[[], int]) -> None:
        """Ask this for the number of probes under way whenever it is scraped."""
        self._inflight.set_function(inflight)

    def lag(self, seconds: float) -> None:
        """Take note of how late a probe starts."""
        self._lag.observe(max(0.0, seconds))

    def measured(self, row: Measurement, status: int, duration: float) -> None:
        """Count one measurement as it is published; ``status`` 0 when there was no answer, ``duration`` in seconds."""
        self._outcomes.of[row.outcome] += 1
        self._reasons.of[row.reason] += 1
        if row.reason is Reason.OVERRUN:
            self._overruns.inc()
        elif row.reason is Reason.SHED:
            self._shed.inc()
        self._series.measured(row, status, duration)

    def assigned(self, assignments: Mapping[Target, Assignment]) -> None:
        """Take note of what is this prober's share from now on."""
        endpoints = sum(target.endpoint for target in assignments)
        self._targets.labels("link").set(len(assignments) - endpoints)
        self._targets.labels("endpoint").set(endpoints)
        self._series.assigned(assignments)

    def peers(self, alive: int) -> None:
        """Take note of how many probers of this vantage are alive, with this one."""
        self._peers.set(alive)

    def leapt(self, slots: int) -> None:
        """Count slots that were leapt over, none of their targets probed."""
        self._leapt.inc(slots)

    def blind(self, vantage: str, *, blind: bool) -> None:
        """Take note of whether the vantage sees."""
        self._blind.labels(vantage).set(blind)

    def spooled(self, batches: int, size: int) -> None:
        """Take note of what the bus has not acknowledged."""
        self._batches.set(batches)
        self._bytes.set(size)

    def dropped(self, batches: int) -> None:
        """Count batches that the spool had no room for."""
        self._dropped.inc(batches)

    def published(self, seconds: float) -> None:
        """Take note of how long the bus took to acknowledge a batch."""
        self._publish.observe(seconds)


class _Pressure(Collector):
    """How full the connection-tracking table is when it is scraped; nothing where there is none."""

    def __init__(self, tracking: TrackingTable) -> None:
        self._tracking = tracking

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield its share in use."""
        ratio = self._tracking.ratio()
        if ratio is not None:
            row = TABLE["peyvand_conntrack_ratio"]
            yield GaugeMetricFamily(row.name, row.help, value=ratio)


class _Series(Collector):
    """Series per target, put together when they are scraped rather than at every probe."""

    def __init__(self) -> None:
        self._last: dict[Target, tuple[Measurement, int, float]] = {}
        self._labels: dict[Target, tuple[str, str, str]] = {}
        self._every = True

    def measured(self, row: Measurement, status: int, duration: float) -> None:
        """Keep the last measurement of a target that is exposed."""
        if row.target not in self._labels:
            return
        if self._every or (_expires(row) and (row.target in self._last or len(self._last) < EXPIRING_SERIES)):
            self._last[row.target] = (row, status, duration)
        else:
            self._last.pop(row.target, None)

    def assigned(self, assignments: Mapping[Target, Assignment]) -> None:
        """Expose these targets and no others; of many, those whose certificate expires soon."""
        self._every = len(assignments) < SERIES_BELOW
        self._labels = {
            target: (target.id, assignment.consumer, assignment.provider) for target, assignment in assignments.items()
        }
        self._last = {
            target: seen
            for target, seen in self._last.items()
            if target in self._labels and (self._every or _expires(seen[0]))
        }

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what the last probe of each target saw."""
        families = {
            name: GaugeMetricFamily(name, TABLE[name].help, labels=TABLE[name].labels)
            for name in (
                "probe_success",
                "probe_duration_seconds",
                "probe_http_status_code",
                "probe_http_duration_seconds",
                "probe_ssl_earliest_cert_expiry",
            )
        }
        for target, seen in list(self._last.items()):
            labels = self._labels.get(target)
            if labels is not None:
                _add(families, labels, *seen)
        yield from families.values()


def _expires(row: Measurement) -> bool:
    """Whether the certificate that a probe saw had expired, or was about to."""
    return row.certificate_expiry is not None and row.certificate_expiry - (row.time or 0.0) < _SOON_SECONDS


def _add(
    families: dict[str, GaugeMetricFamily],
    labels: tuple[str, str, str],
    row: Measurement,
    status: int,
    duration: float,
) -> None:
    if row.outcome is not Outcome.UNKNOWN:
        families["probe_success"].add_metric(labels, float(row.outcome is Outcome.OK))
    if row.time is None:
        return
    families["probe_duration_seconds"].add_metric(labels, duration)
    if status:
        families["probe_http_status_code"].add_metric(labels, status)
    for phase in _PHASES:
        seconds = getattr(row.phases, phase)
        if seconds is not None:
            families["probe_http_duration_seconds"].add_metric((*labels, phase), seconds)
    if row.certificate_expiry is not None:
        families["probe_ssl_earliest_cert_expiry"].add_metric(labels, row.certificate_expiry)
