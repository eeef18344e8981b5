"""The table of every metric we expose (docs/probing.md §7).

Names follow Prometheus: base units, ``_total``, ``_timestamp_seconds``, ``_info``. Counters exist from the start at
zero; gauges are absent until known, so a gauge without labels is made only when its value is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["EVERY", "TABLE", "UNITS", "Metric"]

EVERY = "every component"
"""Stands for a component in the rows of what all of them expose."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One row: ``series`` says how many series a process exposes per what; ``buckets`` in seconds.

    ``unit`` is one of UNITS; in TABLE that of the name's suffix where the row says nothing, or else a count, of what
    ``help`` names.
    """

    name: str
    type: str
    labels: tuple[str, ...]
    component: str
    help: str
    series: str = "1"
    buckets: tuple[float, ...] = ()
    unit: str = ""


UNITS = ("count", "seconds", "epoch seconds", "bytes", "ratio", "flag", "stage", "level", "code")
"""What values are in. A ratio is of 1, not of 100; a flag is 0 or 1."""

_SUFFIXES = {"_timestamp_seconds": "epoch seconds", "_seconds": "seconds", "_bytes": "bytes", "_ratio": "ratio"}

_PUBLISH_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_INDEX = ("kind", "id", "window")
_ENTITIES = "1/entity, up to 10^3 agencies a side"
_TARGET = ("target", "consumer", "provider")

_ROWS = (
    # every component
    Metric(
        "peyvand_serving", "gauge", (), EVERY, "1 while /health says SERVING, 0 while it says NOT_SERVING", unit="flag"
    ),
    Metric(
        "peyvand_bus_connected",
        "gauge",
        (),
        EVERY,
        "1 while the message bus answers; absent before it first does",
        unit="flag",
    ),
    # prober
    Metric("peyvand_probe_outcomes_total", "counter", ("outcome",), "prober", "Probes by outcome", "7"),
    Metric("peyvand_probe_reasons_total", "counter", ("reason",), "prober", "Probes by reason", "55"),
    Metric(
        "peyvand_probe_schedule_lag_seconds",
        "histogram",
        (),
        "prober",
        "How late probes start",
        "13",
        _LAG_BUCKETS,
    ),
    Metric("peyvand_probe_overruns_total", "counter", (), "prober", "Probes that did not finish within their slot"),
    Metric("peyvand_probe_shed_total", "counter", (), "prober", "Probes not made for overload"),
    Metric(
        "peyvand_probe_leapt_slots_total",
        "counter",
        (),
        "prober",
        "Slots not probed because the machine slept or its clock was set",
    ),
    Metric("peyvand_probe_inflight", "gauge", (), "prober", "Probes under way"),
    Metric("peyvand_probe_targets", "gauge", ("kind",), "prober", "Links and endpoints of this prober's share", "2"),
    Metric("peyvand_probe_peers", "gauge", (), "prober", "Probers of this vantage that are alive, with this one"),
    Metric("peyvand_vantage_blind", "gauge", ("vantage",), "prober", "1 while a control target fails", unit="flag"),
    Metric("peyvand_conntrack_ratio", "gauge", (), "prober", "Share of the connection-tracking table in use"),
    Metric("peyvand_spool_batches", "gauge", (), "prober", "Batches the bus has not acknowledged"),
    Metric("peyvand_spool_bytes", "gauge", (), "prober", "Bytes the bus has not acknowledged"),
    Metric("peyvand_spool_dropped_total", "counter", (), "prober", "Batches dropped because the spool was full"),
    Metric(
        "peyvand_publish_seconds",
        "histogram",
        (),
        "prober",
        "From publishing a batch to its acknowledgement",
        "15",
        _PUBLISH_BUCKETS,
    ),
    Metric(
        "probe_success",
        "gauge",
        _TARGET,
        "prober",
        "1 when the last probe was OK; absent when UNKNOWN",
        "1/target",
        unit="flag",
    ),
    Metric("probe_duration_seconds", "gauge", _TARGET, "prober", "Duration of the last probe", "1/target"),
    Metric(
        "probe_http_status_code", "gauge", _TARGET, "prober", "HTTP status of the last answer", "1/target", unit="code"
    ),
    Metric(
        "probe_http_duration_seconds",
        "gauge",
        (*_TARGET, "phase"),
        "prober",
        "Duration of each phase of the last probe",
        "5/target",
    ),
    Metric(
        "probe_ssl_earliest_cert_expiry",
        "gauge",
        _TARGET,
        "prober",
        "Earliest expiry of the certificates seen, in epoch seconds",
        "1/target",
        unit="epoch seconds",
    ),
    # scorer
    Metric(
        "peyvand_index",
        "gauge",
        _INDEX,
        "scorer",
        "Point of the index; absent when not publishable",
        _ENTITIES,
        unit="ratio",
    ),
    Metric(
        "peyvand_index_lower",
        "gauge",
        _INDEX,
        "scorer",
        "Lower bound: unknown counted as failed",
        _ENTITIES,
        unit="ratio",
    ),
    Metric(
        "peyvand_index_upper", "gauge", _INDEX, "scorer", "Upper bound: unknown counted as OK", _ENTITIES, unit="ratio"
    ),
    Metric(
        "peyvand_index_interval",
        "gauge",
        (*_INDEX, "bound"),
        "scorer",
        "Low and high end of the 95 % interval of the government's and the sectors' index; absent with the point",
        "2/government, sector and window",
        unit="ratio",
    ),
    Metric(
        "peyvand_index_known_share",
        "gauge",
        _INDEX,
        "scorer",
        "Share of the weight that is known",
        _ENTITIES,
        unit="ratio",
    ),
    Metric(
        "peyvand_index_loss",
        "gauge",
        (*_INDEX, "stage"),
        "scorer",
        "Loss of the index by stage",
        "5" + _ENTITIES[1:],
        unit="ratio",
    ),
    Metric(
        "peyvand_link_stage",
        "gauge",
        ("link", "consumer", "provider", "over_bus"),
        "scorer",
        "Stage of the last settled slot (0-5); absent when unknown. Of more than 10^4 links, those that burn",
        "1/link, up to 10^4",
        unit="stage",
    ),
    Metric(
        "peyvand_link_reason",
        "gauge",
        ("link", "consumer", "provider", "reason"),
        "scorer",
        "1 with the reason of the last settled slot of a live link that was not OK in it",
        "1/live link that is not OK, up to 10^3",
        unit="flag",
    ),
    Metric(
        "peyvand_data_bus_stage",
        "gauge",
        ("endpoint",),
        "scorer",
        "Stage of the data bus's own endpoint in the last settled slot; absent when unknown or not named by the policy",
        unit="stage",
    ),
    Metric(
        "peyvand_link_burn",
        "gauge",
        ("link", "span"),
        "scorer",
        "How fast a link burns its error budget over 1h, 6h, 1d or 3d; absent below 14.4, 6, 3 and 1",
        "1/link that burns and span, up to 10^3 each",
        unit="ratio",
    ),
    Metric("peyvand_links", "gauge", ("state",), "scorer", "Links by state: live or absent", "2"),
    Metric(
        "peyvand_links_now",
        "gauge",
        ("kind", "id", "verdict"),
        "scorer",
        "Links by the verdict of the last settled slot, those on paper as absent: of the government, and of each consumer",
        "8, and up to 8/consumer, up to 10^3 consumers",
    ),
    Metric(
        "peyvand_structure",
        "gauge",
        ("measure", "window"),
        "scorer",
        "Share by measure of how the agencies hang together; absent where it does not apply",
        "10/window",
        unit="ratio",
    ),
    Metric("peyvand_islands", "gauge", ("window",), "scorer", "Islands of agencies that reach each other", "1/window"),
    Metric(
        "peyvand_isolates",
        "gauge",
        ("window",),
        "scorer",
        "Agencies required to take part, and in no working pair",
        "1/window",
    ),
    Metric("peyvand_slot_seconds", "gauge", (), "scorer", "Length of a slot"),
    Metric("peyvand_index_as_of_timestamp_seconds", "gauge", (), "scorer", "End of the last slot counted"),
    Metric("peyvand_measurement_age_seconds", "gauge", (), "scorer", "Age of the newest slot measured"),
    Metric(
        "peyvand_vantage_newest_timestamp_seconds",
        "gauge",
        ("vantage",),
        "scorer",
        "Start of the newest slot measured from a vantage that has to measure, or since when it is waited for if later",
        "1/vantage",
    ),
    Metric("peyvand_measurements_total", "counter", (), "scorer", "Measurements taken in"),
    Metric(
        "peyvand_measurements_late_total", "counter", (), "scorer", "Measurements that came after their slot closed"
    ),
    Metric("peyvand_measurements_rejected_total", "counter", (), "scorer", "Batches that could not be read"),
    Metric(
        "peyvand_link_findings",
        "gauge",
        ("finding", "window"),
        "scorer",
        "Links that are silent, disagreeing (probes with logs) or unusual (in volume); absent without exchanges",
        "3/window",
    ),
    Metric(
        "peyvand_undeclared_exchanges",
        "gauge",
        ("window",),
        "scorer",
        "Exchanges of pairs of agencies without a link in the register",
        "1/window",
    ),
    Metric(
        "peyvand_bus_exchanges",
        "gauge",
        ("bus", "window"),
        "scorer",
        "Exchanges per bus, meta services left out",
        "1/bus",
    ),
    Metric(
        "peyvand_exchanges",
        "gauge",
        ("consumer", "provider", "meta", "result"),
        "scorer",
        "Exchanges per pair of agencies over the longest window",
        "3/pair",
    ),
    Metric(
        "peyvand_scorer_refresh_seconds",
        "histogram",
        (),
        "scorer",
        "Time to recompute and publish",
        "15",
        _PUBLISH_BUCKETS,
    ),
    Metric("peyvand_scorer_behind_messages", "gauge", (), "scorer", "Messages of MEASUREMENTS not yet taken in"),
    Metric("peyvand_stream_messages", "gauge", ("stream",), "scorer", "Messages kept of a stream or bucket", "5"),
    Metric("peyvand_stream_bytes", "gauge", ("stream",), "scorer", "Bytes kept of a stream or bucket", "5"),
    Metric(
        "peyvand_stream_last_sequence",
        "gauge",
        ("stream",),
        "scorer",
        "Sequence of the newest message of a stream or bucket: how many were ever stored",
        "5",
    ),
    # collector
    Metric("peyvand_exchange_records_total", "counter", (), "collector", "Exchange records read"),
    Metric(
        "peyvand_exchange_rejected_total",
        "counter",
        (),
        "collector",
        "Lines that could not be read, or had a request id of too many",
    ),
    Metric("peyvand_exchange_duplicates_total", "counter", (), "collector", "Records seen before"),
    Metric(
        "peyvand_exchange_expired_total",
        "counter",
        (),
        "collector",
        "Records too old to be counted",
    ),
    Metric("peyvand_exchange_paired_total", "counter", (), "collector", "Exchanges with both sides"),
    Metric("peyvand_exchange_orphans", "gauge", (), "collector", "Records waiting for their other side"),
    Metric("peyvand_exchange_unpublished", "gauge", (), "collector", "Summaries the bus has not acknowledged"),
    Metric(
        "peyvand_exchange_position_timestamp_seconds",
        "gauge",
        ("source",),
        "collector",
        "Up to when a source was read",
        "1/source",
    ),
    Metric(
        "peyvand_exchange_newest_timestamp_seconds",
        "gauge",
        ("source",),
        "collector",
        "When the newest exchange of a source was, or the collector's start where that is later",
        "1/source",
    ),
    Metric(
        "peyvand_exchange_source_up",
        "gauge",
        ("source",),
        "collector",
        "1 when a source gave what it was last asked for",
        "1/source",
        unit="flag",
    ),
    Metric(
        "peyvand_exchange_source_failures_total",
        "counter",
        ("source", "failure"),
        "collector",
        "Failures of a source, by how it failed",
        "7/source",
    ),
    Metric(
        "peyvand_exchange_skipped_seconds_total",
        "counter",
        ("source",),
        "collector",
        "Seconds of a security server skipped, as no answer for them could be used",
        "1/source",
    ),
    Metric(
        "peyvand_exchange_health_requests",
        "gauge",
        ("source", "service", "result"),
        "collector",
        "Requests in the last period, as a security server counts them",
        "2/X-Road service, up to 1,000 of a source",
    ),
    Metric(
        "peyvand_exchange_health_duration_seconds",
        "gauge",
        ("source", "service"),
        "collector",
        "Mean duration in the last period, as a security server measures it",
        "1/X-Road service, up to 1,000 of a source",
    ),
    # api
    Metric(
        "peyvand_api_requests_total", "counter", ("method", "code"), "api", "Requests answered", "1/method and code"
    ),
    Metric(
        "peyvand_api_request_seconds",
        "histogram",
        ("method",),
        "api",
        "Time to answer a request",
        "15/method",
        _PUBLISH_BUCKETS,
    ),
    Metric("peyvand_api_watchers", "gauge", (), "api", "Watches open"),
    Metric(
        "peyvand_agency_info",
        "gauge",
        ("agency", "sector", "name_en", "name_fa"),
        "api",
        "1 for each agency of the register in force",
        "1/agency, up to 10^3",
        unit="flag",
    ),
    Metric(
        "peyvand_three_bars",
        "gauge",
        ("bar", "window"),
        "api",
        "Integration as the latest official round says, as the register declares it, and as measured",
        "3/window",
        unit="ratio",
    ),
    Metric(
        "peyvand_service_index",
        "gauge",
        ("service", "consumer"),
        "api",
        "Point of a service's index over the default window; absent when not publishable",
        "1/service, up to 2,500",
        unit="ratio",
    ),
    Metric(
        "peyvand_service_level",
        "gauge",
        ("service", "consumer"),
        "api",
        "Level of a service (0-4) over the default window",
        "1/service, up to 2,500",
        unit="level",
    ),
    Metric(
        "peyvand_link_loss",
        "gauge",
        ("link", "service", "consumer", "provider"),
        "api",
        "What of the government's index is lost on a link over the default window",
        "as of peyvand_link_gain",
        unit="ratio",
    ),
    Metric(
        "peyvand_link_gain",
        "gauge",
        ("link", "service", "consumer", "provider"),
        "api",
        "What the government's index over the default window would gain if this link alone were always OK",
        "the 10 that gain most of each consumer and of each provider, up to 10^3 agencies' sides",
        unit="ratio",
    ),
    Metric(
        "peyvand_link_exchanges",
        "gauge",
        ("link", "consumer", "provider", "result"),
        "api",
        "Exchanges on the X-Road services of a link over the default window, by result: ok or failed",
        "2/link with exchanges, up to 10^3",
    ),
    # sandbox
    Metric("peyvand_sandbox_answers_total", "counter", ("sent",), "sandbox", "Answers sent, by what was sent", "7"),
)


def _unit(name: str) -> str:
    of = name.removesuffix("_total")
    return next((unit for suffix, unit in _SUFFIXES.items() if of.endswith(suffix)), "count")


TABLE: dict[str, Metric] = {row.name: replace(row, unit=row.unit or _unit(row.name)) for row in _ROWS}
