"""The table of every metric we expose (docs/probing.md §7).

Names follow Prometheus: base units, ``_total``, ``_timestamp_seconds``, ``_info``. Counters exist from startup, at
zero. Gauges are absent until their value is known, so a gauge without labels is created with its first value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from services.core.model import UNMEASURED_REASONS, Outcome, Reason

EVERY = "every component"
"""The component in rows of metrics that all of them expose."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One row: ``series`` is how many series a process exposes, and per what; ``buckets`` in seconds.

    ``unit`` is one of UNITS. In TABLE, an empty unit is filled in from the suffix of the name, else it is a count.
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
"""Units of values. A ratio is of 1, not of 100; a flag is 0 or 1."""

_SUFFIXES = {"_timestamp_seconds": "epoch seconds", "_seconds": "seconds", "_bytes": "bytes", "_ratio": "ratio"}

_PUBLISH_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_INDEX = ("kind", "id", "window")
_ENTITIES = "1/sector and window, and 1/agency, role and window up to the limit"
_TARGET = ("target", "consumer", "provider")


def _counter(name: str, text: str, labels: tuple[str, ...] = (), series: str = "1") -> Metric:
    return Metric(name, "counter", labels, "", text, series)


def _gauge(name: str, text: str, labels: tuple[str, ...] = (), series: str = "1", *, unit: str = "") -> Metric:
    return Metric(name, "gauge", labels, "", text, series, unit=unit)


def _histogram(
    name: str, text: str, series: str, buckets: tuple[float, ...], *, labels: tuple[str, ...] = ()
) -> Metric:
    return Metric(name, "histogram", labels, "", text, series, buckets)


def _rows_of(component: str, *rows: Metric) -> Iterator[Metric]:
    return (replace(row, component=component) for row in rows)


_ROWS = (
    *_rows_of(
        EVERY,
        _gauge("peyvand_serving", "1 while /health is SERVING, 0 while it is NOT_SERVING", unit="flag"),
        _gauge("peyvand_start_timestamp_seconds", "Time at which the process started"),
        _gauge(
            "peyvand_bus_connected",
            "1 while the message bus answers; absent before its first answer, and in the console, which does not use the bus",
            unit="flag",
        ),
    ),
    *_rows_of(
        "prober",
        _counter("peyvand_probe_outcomes_total", "Probes by outcome", ("outcome",), str(len(Outcome))),
        _counter(
            "peyvand_probe_reasons_total", "Probes by reason", ("reason",), str(len(Reason) - len(UNMEASURED_REASONS))
        ),
        _histogram("peyvand_probe_schedule_lag_seconds", "How late probes start", "13", _LAG_BUCKETS),
        _counter("peyvand_probe_overruns_total", "Probes that did not finish within their slot"),
        _counter("peyvand_probe_shed_total", "Probes shed because of overload"),
        _counter("peyvand_probe_leapt_slots_total", "Slots not probed because the machine slept or its clock was set"),
        _gauge("peyvand_probe_inflight", "Probes under way"),
        _gauge("peyvand_probe_targets", "Links and endpoints of this prober's share", ("kind",), "2"),
        _gauge("peyvand_probe_peers", "Probers of this vantage that are alive, this one included"),
        _gauge("peyvand_vantage_blind", "1 while a control target fails", ("vantage",), unit="flag"),
        _gauge("peyvand_control_failed", "1 while this control target fails", ("vantage", "target"), "2", unit="flag"),
        _gauge("peyvand_vantage_unresolved", "1 while no control name resolves", ("vantage",), unit="flag"),
        _gauge("peyvand_conntrack_ratio", "Share of the connection-tracking table in use"),
        _gauge("peyvand_spool_batches", "Batches that the bus has not acknowledged"),
        _gauge("peyvand_spool_bytes", "Bytes of batches that the bus has not acknowledged"),
        _counter("peyvand_spool_dropped_total", "Batches dropped because the spool was full"),
        _gauge("peyvand_spool_kept_bytes", "Bytes of acknowledged batches, kept in case the bus loses them"),
        _counter("peyvand_spool_sent_again_total", "Files of acknowledged batches that were sent again"),
        _gauge("peyvand_spool_damaged_files", "Damaged files of the spool that were set aside"),
        _histogram("peyvand_publish_seconds", "From publishing a batch to its acknowledgement", "15", _PUBLISH_BUCKETS),
        _gauge("probe_success", "1 when the last probe was OK; absent when UNKNOWN", _TARGET, "1/target", unit="flag"),
        _gauge("probe_duration_seconds", "Duration of the last probe", _TARGET, "1/target"),
        _gauge("probe_http_status_code", "HTTP status of the last answer", _TARGET, "1/target", unit="code"),
        _gauge(
            "probe_http_duration_seconds", "Duration of each phase of the last probe", (*_TARGET, "phase"), "5/target"
        ),
        _gauge(
            "probe_ssl_earliest_cert_expiry",
            "Earliest expiry of the certificates seen, in epoch seconds",
            _TARGET,
            "1/target",
            unit="epoch seconds",
        ),
    ),
    *_rows_of(
        "scorer",
        _gauge("peyvand_index", "Point of the index; absent when not publishable", _INDEX, _ENTITIES, unit="ratio"),
        _gauge("peyvand_index_lower", "Lower bound: unknown counted as failed", _INDEX, _ENTITIES, unit="ratio"),
        _gauge("peyvand_index_upper", "Upper bound: unknown counted as OK", _INDEX, _ENTITIES, unit="ratio"),
        _gauge(
            "peyvand_index_interval",
            "Low and high end of the 95 % interval of the government's and the sectors' index; absent with the point",
            (*_INDEX, "bound"),
            "2/government, sector and window",
            unit="ratio",
        ),
        _gauge("peyvand_index_known_share", "Share of the weight that is known", _INDEX, _ENTITIES, unit="ratio"),
        _gauge(
            "peyvand_index_loss",
            "Loss of the index by stage",
            (*_INDEX, "stage"),
            "5/series of the known share",
            unit="ratio",
        ),
        _gauge(
            "peyvand_link_stage",
            "Stage of the last settled slot (0-5); absent when unknown. With more than 10^4 links, only of links that burn",
            ("link", "consumer", "provider", "over_bus"),
            "1/link, up to 10^4",
            unit="stage",
        ),
        _gauge(
            "peyvand_link_reason",
            "1 with the reason of the last settled slot of a live link that was not OK in it",
            ("link", "consumer", "provider", "reason"),
            "1/live link that is not OK, up to 10^3",
            unit="flag",
        ),
        _gauge(
            "peyvand_data_bus_stage",
            "Stage of the data bus's own endpoint in the last settled slot; absent when unknown or not named by the policy",
            ("endpoint",),
            unit="stage",
        ),
        _gauge(
            "peyvand_link_burn",
            "How fast a link burns its error budget over 1h, 6h, 1d or 3d; absent below 14.4, 6, 3 and 1",
            ("link", "span"),
            "1/link that burns and span, up to 500 each",
            unit="ratio",
        ),
        _gauge(
            "peyvand_scorer_series_left_out",
            "Agencies, links, burn rates and pairs without series because the limit is reached; the api has all of them",
            ("of",),
            "7",
        ),
        _gauge("peyvand_links", "Links by state: live or absent", ("state",), "2"),
        _gauge(
            "peyvand_links_now",
            "Links of the government and of each consumer, by the verdict of the last settled slot; not_live: absent, or before live_from",
            ("kind", "id", "verdict"),
            "8, and 8/consumer up to the limit",
        ),
        _gauge(
            "peyvand_structure",
            "Shares that describe how the agencies are connected, by measure; absent where a measure does not apply",
            ("measure", "window"),
            "10/window",
            unit="ratio",
        ),
        _gauge("peyvand_islands", "Islands of agencies that reach each other", ("window",), "1/window"),
        _gauge("peyvand_isolates", "Agencies in a required pair and in no working pair", ("window",), "1/window"),
        _gauge("peyvand_slot_seconds", "Length of a slot"),
        _gauge("peyvand_index_as_of_timestamp_seconds", "End of the last slot counted"),
        _gauge("peyvand_measurement_age_seconds", "Age of the newest slot measured"),
        _gauge(
            "peyvand_vantage_newest_timestamp_seconds",
            "Start of the newest slot measured from a vantage that has to measure, or when waiting for it began, if later",
            ("vantage",),
            "1/vantage",
        ),
        _counter("peyvand_measurements_total", "Measurements accepted"),
        _counter("peyvand_measurements_late_total", "Measurements stored after the grace of their slot, and left out"),
        _counter(
            "peyvand_measurements_refused_total",
            "Measurements with an impossible slot (future, before the epoch, not a slot), a time outside it, or an unknown target",
            ("fault",),
            "3",
        ),
        _counter(
            "peyvand_settled_slots_changed_total",
            "Slots of targets changed by measurements that were stored after the slot had settled",
            ("vantage",),
            "1/vantage",
        ),
        _counter("peyvand_measurements_rejected_total", "Batches that could not be read"),
        _gauge(
            "peyvand_bus_unsafe",
            "1 for each fault by which acknowledged messages may be lost; unknown: servers do not say whether they sync; absent after ten minutes without a bus",
            ("fault",),
            "6",
            unit="flag",
        ),
        _gauge(
            "peyvand_bus_certificate_expiry_timestamp_seconds",
            "When the certificate of a server of the bus expires; absent without TLS, before nats-server 2.14, and after ten minutes without a bus",
            ("server",),
            "1/server",
        ),
        _gauge(
            "peyvand_batches_missing",
            "Batches missing within the last day although later ones of the same prober's run have come",
            ("vantage",),
            "1/vantage",
        ),
        _gauge(
            "peyvand_batches_broken",
            "Batches since the scorer started that name a wrong predecessor, or came again with other content",
            ("vantage",),
            "1/vantage",
        ),
        _counter("peyvand_summaries_rejected_total", "Batches of exchange summaries that could not be read"),
        _gauge(
            "peyvand_link_findings",
            "Links that are silent, disagreeing (probes with logs) or unusual (in volume); absent without exchanges",
            ("finding", "window"),
            "3/window",
        ),
        _gauge(
            "peyvand_findings",
            "Findings about exchanges that go on, by kind and review; absent until exchanges were examined",
            ("kind", "state"),
            "24",
        ),
        _gauge(
            "peyvand_undeclared_exchanges",
            "Exchanges of pairs of agencies without a link in the register",
            ("window",),
            "1/window",
        ),
        _gauge("peyvand_bus_exchanges", "Exchanges per bus, meta services left out", ("bus", "window"), "1/bus"),
        _gauge(
            "peyvand_exchanges",
            "Exchanges per pair of agencies over the longest window",
            ("consumer", "provider", "meta", "result"),
            "3/pair, up to 500 pairs",
        ),
        _histogram("peyvand_scorer_refresh_seconds", "Time to recompute and publish", "15", _PUBLISH_BUCKETS),
        _gauge("peyvand_scorer_standing_by", "1 while this scorer does not have the lease", unit="flag"),
        _gauge("peyvand_scorer_damaged_files", "Damaged files of the scorer's state that were set aside"),
        _gauge("peyvand_scorer_behind_messages", "Messages of MEASUREMENTS that are not read yet"),
        _gauge("peyvand_stream_messages", "Messages in a stream or bucket", ("stream",), "6"),
        _gauge("peyvand_stream_bytes", "Bytes in a stream or bucket", ("stream",), "6"),
        _gauge(
            "peyvand_stream_limit_bytes", "Bytes beyond which a stream or bucket accepts no message", ("stream",), "6"
        ),
        _gauge(
            "peyvand_stream_last_sequence",
            "Sequence of the newest message of a stream or bucket: how many were ever stored",
            ("stream",),
            "6",
        ),
        _counter(
            "peyvand_stream_lost_messages_total",
            "Messages that left a stream before their age limit, and those of a bucket that was emptied",
            ("stream",),
            "6",
        ),
    ),
    *_rows_of(
        "collector",
        _gauge("peyvand_collector_damaged_files", "Damaged files of the collector's state that were set aside"),
        _counter("peyvand_exchange_records_total", "Exchange records read"),
        _counter(
            "peyvand_exchange_rejected_total", "Records that could not be read, or whose request id had too many sides"
        ),
        _counter("peyvand_exchange_duplicates_total", "Records seen before"),
        _counter("peyvand_exchange_expired_total", "Records too old to be counted"),
        _counter("peyvand_exchange_paired_total", "Exchanges with both sides"),
        _gauge("peyvand_exchange_orphans", "Exchanges with one side only, so far"),
        _gauge("peyvand_exchange_unpublished", "Summaries that the bus has not acknowledged"),
        _gauge(
            "peyvand_exchange_published_timestamp_seconds",
            "When the summary that has waited longest for the bus changed last; now if none waits",
        ),
        _gauge(
            "peyvand_exchange_position_timestamp_seconds", "Time up to which a source was read", ("source",), "1/source"
        ),
        _gauge(
            "peyvand_exchange_newest_timestamp_seconds",
            "Time of the newest exchange of a source, or of the collector's start, if later",
            ("source",),
            "1/source",
        ),
        _gauge(
            "peyvand_exchange_source_up",
            "1 when the last request to a source succeeded",
            ("source",),
            "1/source",
            unit="flag",
        ),
        _counter(
            "peyvand_exchange_source_failures_total",
            "Failures of a source, by how it failed",
            ("source", "failure"),
            "7/source",
        ),
        _counter(
            "peyvand_exchange_skipped_seconds_total",
            "Seconds of a security server that were skipped because no answer for them could be used",
            ("source",),
            "1/source",
        ),
        _gauge(
            "peyvand_exchange_health_requests",
            "Requests in the last period, as a security server counts them",
            ("source", "service", "result"),
            "2/X-Road service, up to 1,000 of a source",
        ),
        _gauge(
            "peyvand_exchange_health_duration_seconds",
            "Mean duration in the last period, as a security server measures it",
            ("source", "service"),
            "1/X-Road service, up to 1,000 of a source",
        ),
    ),
    *_rows_of(
        "archive",
        _counter("peyvand_archive_rows_total", "Rows of evidence on disk", ("kind",), "1/kind"),
        _counter("peyvand_archive_rejected_total", "Messages that could not be read", ("kind",), "1/kind"),
        _gauge(
            "peyvand_archive_position_timestamp_seconds",
            "Time up to which everything that a stream stored is on disk",
            ("kind",),
            "1/kind",
        ),
        _gauge(
            "peyvand_archive_missing_messages",
            "Messages of days not sealed yet that were gone from the stream before they were archived",
            ("kind",),
            "1/kind",
        ),
        _counter("peyvand_archive_sealed_total", "Days sealed since the start"),
        _gauge("peyvand_archive_unsealed", "Days that accept no more rows and are not sealed"),
        _gauge(
            "peyvand_archive_batch_faults",
            "Faults in the chains of batches on the day that was sealed last: missing, belated, forked, broken, parallel",
            ("vantage", "fault"),
            "5/vantage",
        ),
    ),
    *_rows_of(
        "console",
        _counter(
            "peyvand_console_answers_total", "Answers by page and HTTP status", ("page", "code"), "1/page and code"
        ),
        _histogram(
            "peyvand_console_page_seconds",
            "Time to make a page, including the wait for the api",
            "15/page",
            _PUBLISH_BUCKETS,
            labels=("page",),
        ),
        _counter("peyvand_console_aged_total", "Pages shown with a notice of their age because the api did not answer"),
        _gauge("peyvand_console_api_connected", "1 while the api answers", unit="flag"),
        _gauge("peyvand_console_info", "1 with the address that readers use, as a label", ("url",), unit="flag"),
    ),
    *_rows_of(
        "api",
        _counter("peyvand_api_requests_total", "Requests answered", ("method", "code"), "1/method and code"),
        _histogram(
            "peyvand_api_request_seconds", "Time to answer a request", "15/method", _PUBLISH_BUCKETS, labels=("method",)
        ),
        _gauge("peyvand_api_watchers", "Watches open"),
        _gauge(
            "peyvand_api_revocations_end_timestamp_seconds",
            "When the first of the lists of revoked certificates is outdated; infinite without lists",
        ),
        _gauge(
            "peyvand_agency_info",
            "1 for each agency of the register in force",
            ("agency", "sector", "name_en", "name_fa"),
            "1/agency, up to 10^3",
            unit="flag",
        ),
        _gauge(
            "peyvand_three_bars",
            "Integration according to the latest official round, to the register, and to measurements",
            ("bar", "window"),
            "3/window",
            unit="ratio",
        ),
        _gauge(
            "peyvand_service_index",
            "Point of a service's index over the default window; absent when not publishable",
            ("service", "consumer"),
            "1/service, up to 2,500",
            unit="ratio",
        ),
        _gauge(
            "peyvand_service_level",
            "Level of a service (0-4) over the default window",
            ("service", "consumer"),
            "1/service, up to 2,500",
            unit="level",
        ),
        _gauge(
            "peyvand_link_loss",
            "Part of the government's index that is lost on a link, over the default window",
            ("link", "service", "consumer", "provider"),
            "like peyvand_link_gain",
            unit="ratio",
        ),
        _gauge(
            "peyvand_link_gain",
            "Gain of the government's index, over the default window, if this link alone were always OK",
            ("link", "service", "consumer", "provider"),
            "the 10 links of each consumer and provider with the largest gain, up to 10^3 agencies in a role",
            unit="ratio",
        ),
        _gauge(
            "peyvand_link_exchanges",
            "Exchanges on the X-Road services of a link over the default window, by result: ok or failed",
            ("link", "consumer", "provider", "result"),
            "2/link with exchanges, up to 10^3",
        ),
        _gauge(
            "peyvand_agency_findings",
            "Findings about exchanges that go on and affect an agency, as consumer or provider",
            ("agency",),
            "1/agency, up to 10^3",
        ),
    ),
    *_rows_of("sandbox", _counter("peyvand_sandbox_answers_total", "Answers sent, by what was sent", ("sent",), "7")),
)


def _unit(name: str) -> str:
    of = name.removesuffix("_total")
    return next((unit for suffix, unit in _SUFFIXES.items() if of.endswith(suffix)), "count")


TABLE: dict[str, Metric] = {row.name: replace(row, unit=row.unit or _unit(row.name)) for row in _ROWS}
