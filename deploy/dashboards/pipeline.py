"""The monitor itself: probers and vantages, the spool, the bus, the scorer, collectors and the api."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.dashboards.board import both, frame, query, variable
from deploy.dashboards.panels import bars, lines, number, timeline
from deploy.dashboards.style import (
    BAD_IS_MORE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    STAGE_COLOURS,
    STAGE_NAMES,
    coloured,
    named,
    words,
)
from services.core.model import Stage

__all__ = ["dashboard"]

_COMPONENTS = "prober|scorer|archive|collector|api"
_JOB = ("job", both("Job", "کار"), f'label_values(up{{job=~"{_COMPONENTS}"}}, job)')
_INSTANCE = ("instance", both("Instance", "نمونه"), 'label_values(up{job=~"$job"}, instance)')
_OF = 'job=~"$job",instance=~"$instance"'
_UP = f"max by (job, instance) (up{{{_OF}}})"
_SERVING = f"max by (job, instance) (peyvand_serving{{{_OF}}})"
_UNKNOWN = "unknown"
_MIB = 1 << 20


def dashboard() -> Dashboard:
    """Return the dashboard."""
    made = frame(
        "pipeline",
        both("Peyvand / Pipeline", "خط اندازه‌گیری"),
        "Whether Peyvand itself is well: what it cannot see becomes unknown, never a fault of a target. Read it before believing "
        "a fall of the index.",
        [variable(*_JOB, many=True, every=_COMPONENTS), variable(*_INSTANCE, many=True)],
        page="/monitor",
    )
    _state(made)
    _probers(made)
    _bus(made)
    _scorer(made)
    _archive(made)
    _sources(made)
    return made


def _rate(name: str, by: str = "") -> str:
    grouped = f"sum by ({by}) " if by else "sum"
    return f"{grouped}(rate({name}{{{_OF}}}[$__rate_interval]))"


def _increase(name: str) -> str:
    """How often in the time shown: it tells of what happened while nobody scraped, as a rate would not."""
    return f"sum(increase({name}{{{_OF}}}[$__range]))"


def _quantile(share: float, name: str, by: str = "") -> str:
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({name}_bucket{{{_OF}}}[$__rate_interval])))"


def _state(made: Dashboard) -> None:
    made.with_row(Row(both("State", "وضعیت")))
    made.with_panel(
        timeline(
            "Components",
            "اجزا",
            "Whether each component answers Prometheus, and says that it serves: what it depends on answers as well.",
            query(f"{_UP} + ({_SERVING} or {_UP} * 0)", "{{job}} {{instance}}"),
            unit="none",
            width=7,
            height=7,
            thresholds=((None, RED), (1, ORANGE), (2, GREEN)),
            mappings=[
                words([(0, "down · خاموش", RED), (1, "not serving · بی‌خدمت", ORANGE), (2, "serves · در خدمت", GREEN)])
            ],
        )
    )
    made.with_panel(
        timeline(
            "Message bus",
            "گذرگاه پیام",
            "Whether each component is connected to NATS.",
            query(f"max by (job, instance) (peyvand_bus_connected{{{_OF}}})", "{{job}} {{instance}}"),
            unit="none",
            width=6,
            height=7,
            thresholds=((None, RED), (1, GREEN)),
            mappings=[words([(0, "away · قطع", RED), (1, "connected · وصل", GREEN)])],
        )
    )
    made.with_panel(
        timeline(
            "Vantages",
            "نقطه‌های دید",
            "Whether the control targets of each vantage answer. While they do not, everything seen from there is unknown.",
            query(f"max by (vantage, instance) (peyvand_vantage_blind{{{_OF}}})", "{{vantage}} {{instance}}"),
            unit="none",
            width=5,
            height=7,
            thresholds=((None, GREEN), (1, RED)),
            mappings=[words([(0, "sees · می‌بیند", GREEN), (1, "blind · کور", RED)])],
        )
    )
    made.with_panel(
        number(
            "Index behind",
            "تأخیر شاخص",
            "Time since the end of the last slot counted. It grows to one slot and the settling time, and falls again.",
            query(f"time() - max(peyvand_index_as_of_timestamp_seconds{{{_OF}}})"),
            unit="s",
            decimals=0,
            width=3,
            height=7,
            thresholds=((None, GREEN), (660, ORANGE), (1200, RED)),
            sparkline=True,
        )
    )
    made.with_panel(
        number(
            "Spooled batches",
            "بسته‌های در صف",
            "Batches on probers' disks that the bus has not acknowledged. A few for a moment are normal.",
            query(f"sum(peyvand_spool_batches{{{_OF}}})"),
            unit="short",
            width=3,
            height=7,
            thresholds=((None, GREEN), (100, ORANGE), (1000, RED)),
            sparkline=True,
        )
    )


def _probers(made: Dashboard) -> None:
    made.with_row(Row(both("Probers", "کاوشگرها")))
    stages = {stage.label: [named(STAGE_NAMES[stage]), coloured(STAGE_COLOURS[stage])] for stage in Stage}
    made.with_panel(
        lines(
            "Probes by outcome",
            "کاوش‌ها به تفکیک نتیجه",
            "Probes per second, by outcome. Unknown is our own fault: a blind vantage, overload, a missing credential.",
            query(_rate("peyvand_probe_outcomes_total", "outcome"), "{{outcome}}"),
            unit="ops",
            width=12,
            stacked=True,
            series={**stages, _UNKNOWN: [named(both("Unknown", "نامعلوم")), coloured(GREY)]},
        )
    )
    made.with_panel(
        lines(
            "Lag of starts",
            "تأخیر آغاز",
            "How late probes start: half of them, and all but one in a hundred. Beyond a tenth of a second, timings are "
            "suspect: the machine is too busy.",
            query(_quantile(0.5, "peyvand_probe_schedule_lag_seconds"), both("half", "میانه")),
            query(_quantile(0.99, "peyvand_probe_schedule_lag_seconds"), "99 %"),
            unit="s",
            width=6,
            thresholds=((None, "transparent"), (0.1, ORANGE), (1, RED)),
        )
    )
    made.with_panel(
        bars(
            "Lost probes",
            "کاوش‌های ازدست‌رفته",
            "In the time shown: probes that did not finish within their slot, that were shed for overload, and slots leapt "
            "over because the machine slept. All of them count as unknown.",
            query(_increase("peyvand_probe_overruns_total"), both("overruns", "ناتمام")),
            query(_increase("peyvand_probe_shed_total"), both("shed", "رها شده")),
            query(_increase("peyvand_probe_leapt_slots_total"), both("slots leapt", "نوبت‌های پریده")),
            unit="short",
            decimals=0,
            width=6,
            thresholds=BAD_IS_MORE,
        )
    )
    made.with_panel(
        lines(
            "Under way",
            "در حال کاوش",
            "Probes under way at once, by prober: it rises when targets hang. A prober sheds beyond its setting --inflight, which "
            "is 2,000 unless it was set.",
            query(f"sum by (instance) (peyvand_probe_inflight{{{_OF}}})", "{{instance}}"),
            unit="short",
            width=6,
            thresholds=((None, "transparent"), (1000, ORANGE), (1800, RED)),
        )
    )
    made.with_panel(
        lines(
            "Share of each prober",
            "سهم هر کاوشگر",
            "Links and endpoints that each prober probes. Probers of one vantage divide its targets among themselves.",
            query(f"sum by (instance) (peyvand_probe_targets{{{_OF}}})", "{{instance}}"),
            unit="short",
            width=6,
            stacked=True,
            steps_only=True,
        )
    )
    made.with_panel(
        lines(
            "Probers alive",
            "کاوشگرهای زنده",
            "Probers of its vantage that each prober hears, itself among them. From two on one may fail and no slot is lost. "
            "Probers that count differently do not hear each other.",
            query(f"max by (instance) (peyvand_probe_peers{{{_OF}}})", "{{instance}}"),
            unit="short",
            width=6,
            thresholds=((None, "transparent"), (2, GREEN)),
            steps_only=True,
        )
    )
    made.with_panel(
        lines(
            "Unknown, by reason",
            "نامعلوم، به تفکیک دلیل",
            "Share of the probes that said nothing of their target, by why. Above a fifth an alert tells.",
            query(
                "sum by (reason) (rate(peyvand_probe_reasons_total"
                f'{{{_OF},reason=~"prober_error|overrun|shed|vantage_blind|own_credential|egress_denied|local_resources|resolver_failed|proxy_failed"}}'
                f"[$__rate_interval])) / on () group_left () ({_rate('peyvand_probe_outcomes_total')} > 0)",
                "{{reason}}",
            ),
            unit="percentunit",
            width=6,
            thresholds=((None, "transparent"), (0.05, ORANGE), (0.2, RED)),
            stacked=True,
        )
    )


def _bus(made: Dashboard) -> None:
    made.with_row(Row(both("Spool and streams", "صف و جریان‌ها")))
    made.with_panel(
        lines(
            "Spool",
            "صف روی دیسک",
            "Bytes that the bus has not acknowledged, by prober. They survive a crash; the oldest are dropped when it is full, "
            "at 256 MiB unless --spool-limit was set.",
            query(f"sum by (instance) (peyvand_spool_bytes{{{_OF}}})", "{{instance}}"),
            unit="bytes",
            width=6,
            thresholds=((None, "transparent"), (64 * _MIB, ORANGE), (192 * _MIB, RED)),
        )
    )
    made.with_panel(
        lines(
            "Acknowledgement",
            "تأیید",
            "How long the bus took to acknowledge a batch: half of them, and all but one in a hundred.",
            query(_quantile(0.5, "peyvand_publish_seconds"), both("half", "میانه")),
            query(_quantile(0.99, "peyvand_publish_seconds"), "99 %"),
            unit="s",
            width=6,
            thresholds=((None, "transparent"), (0.25, ORANGE), (2.5, RED)),
        )
    )
    made.with_panel(
        lines(
            "NATS streams: stored",
            "جریان‌ها: ذخیره",
            "Messages per second that each stream and bucket stored.",
            query(
                f"sum by (stream) (deriv(peyvand_stream_last_sequence{{{_OF}}}[$__rate_interval]))",
                "{{stream}}",
            ),
            unit="ops",
            width=6,
        )
    )
    made.with_panel(
        lines(
            "NATS streams: size",
            "جریان‌ها: اندازه",
            "Bytes kept of each stream and bucket.",
            query(f"max by (stream) (peyvand_stream_bytes{{{_OF}}})", "{{stream}}"),
            unit="bytes",
            width=6,
            stacked=True,
        )
    )
    made.with_panel(
        lines(
            "NATS streams: messages",
            "جریان‌ها: پیام‌ها",
            "Messages kept of each stream and bucket.",
            query(f"max by (stream) (peyvand_stream_messages{{{_OF}}})", "{{stream}}"),
            unit="short",
            width=12,
        )
    )
    made.with_panel(
        lines(
            "Scorer: messages to read",
            "امتیازدهنده: پیام‌های نخوانده",
            "Messages of stream MEASUREMENTS that the scorer has not taken in.",
            query(f"max(peyvand_scorer_behind_messages{{{_OF}}})", both("behind", "نخوانده")),
            unit="short",
            width=12,
            thresholds=((None, "transparent"), (1000, ORANGE), (10_000, RED)),
        )
    )


def _scorer(made: Dashboard) -> None:
    made.with_row(Row(both("Scorer", "امتیازدهنده")))
    made.with_panel(
        lines(
            "Delay",
            "تأخیر",
            "Age of the last slot counted, of the newest slot measured, and of the newest of each vantage. The first beyond the "
            "second by more than a slot: the scorer is late. Both growing: nothing is measured. A vantage alone: its probers "
            "are gone.",
            query(f"time() - max(peyvand_index_as_of_timestamp_seconds{{{_OF}}})", both("index", "شاخص")),
            query(f"max(peyvand_measurement_age_seconds{{{_OF}}})", both("newest measurement", "تازه‌ترین سنجش")),
            query(f"time() - max by (vantage) (peyvand_vantage_newest_timestamp_seconds{{{_OF}}})", "{{vantage}}"),
            unit="s",
            width=6,
            thresholds=((None, "transparent"), (660, ORANGE), (1200, RED)),
        )
    )
    made.with_panel(
        lines(
            "Refresh",
            "بازمحاسبه",
            "Time to recompute and publish the index: half of the refreshes, and all but one in a hundred; what takes longer "
            "than 5 s counts as 5.",
            query(_quantile(0.5, "peyvand_scorer_refresh_seconds"), both("half", "میانه")),
            query(_quantile(0.99, "peyvand_scorer_refresh_seconds"), "99 %"),
            unit="s",
            width=6,
            thresholds=((None, "transparent"), (1, ORANGE), (4, RED)),
        )
    )
    made.with_panel(
        lines(
            "Measurements",
            "سنجش‌ها",
            "Measurements per second that were taken in.",
            query(_rate("peyvand_measurements_total"), both("taken in", "پذیرفته")),
            unit="ops",
            width=6,
        )
    )
    made.with_panel(
        bars(
            "Must stay at nothing",
            "باید صفر بماند",
            "In the time shown: measurements after their slot had closed, batches that could not be read, batches dropped from "
            "a full spool, exchange records that could not be read or came too late to be paired, and seconds of security servers "
            "that were skipped, as no answer for them could be used.",
            query(_increase("peyvand_measurements_late_total"), both("late", "دیر")),
            query(_increase("peyvand_measurements_rejected_total"), both("rejected", "ناخوانا")),
            query(_increase("peyvand_spool_dropped_total"), both("dropped", "دورریخته")),
            query(_increase("peyvand_exchange_rejected_total"), both("records rejected", "رکورد ناخوانا")),
            query(_increase("peyvand_exchange_expired_total"), both("records expired", "رکورد کهنه")),
            query(_increase("peyvand_exchange_skipped_seconds_total"), both("seconds skipped", "ثانیه ناخوانا")),
            unit="short",
            decimals=0,
            width=6,
            thresholds=BAD_IS_MORE,
        )
    )


def _archive(made: Dashboard) -> None:
    made.with_row(Row(both("Archive", "بایگانی")))
    made.with_panel(
        lines(
            "Not archived yet",
            "هنوز بایگانی‌نشده",
            "Age of the oldest message that is not in the dataset, by kind of evidence. It grows to a minute and falls again; the bus "
            "keeps everything for seven days.",
            query(f"time() - min by (kind) (peyvand_archive_position_timestamp_seconds{{{_OF}}})", "{{kind}}"),
            unit="s",
            width=8,
            thresholds=((None, "transparent"), (900, ORANGE), (3600, RED)),
        )
    )
    made.with_panel(
        lines(
            "Archived",
            "بایگانی‌شده",
            "Rows of evidence per second that are in the dataset, by kind.",
            query(_rate("peyvand_archive_rows_total", "kind"), "{{kind}}"),
            unit="ops",
            width=8,
            stacked=True,
        )
    )
    made.with_panel(
        lines(
            "Days and messages",
            "روزها و پیام‌ها",
            "Days that are over and not sealed, for minutes, and messages in the time shown that could not be read.",
            query(f"max(peyvand_archive_unsealed{{{_OF}}})", both("not sealed", "مهرنشده")),
            query(_increase("peyvand_archive_rejected_total"), both("unreadable", "ناخوانا")),
            unit="short",
            width=8,
            thresholds=BAD_IS_MORE,
            steps_only=True,
        )
    )


def _age(name: str) -> str:
    return f"time() - max by (source) ({name}{{{_OF}}})"


def _sources(made: Dashboard) -> None:
    made.with_row(Row(both("Exchanges and answers", "تبادل‌ها و پاسخ‌ها")))
    made.with_panel(
        lines(
            "Sources read up to",
            "خوانده‌شده تا",
            "How far behind now each source was read, whether it had anything or not (security servers are asked a minute "
            "behind), and how old its newest exchange is: old though it is read, and nobody exchanges or its log stands still.",
            query(_age("peyvand_exchange_position_timestamp_seconds"), "{{source}}"),
            query(_age("peyvand_exchange_newest_timestamp_seconds"), "{{source}}: " + both("newest", "تازه‌ترین")),
            unit="s",
            width=6,
            thresholds=((None, "transparent"), (900, ORANGE), (3600, RED)),
        )
    )
    made.with_panel(
        timeline(
            "Sources",
            "منبع‌ها",
            "Whether each source of exchange records gave what it was last asked for.",
            query(f"min by (source) (peyvand_exchange_source_up{{{_OF}}})", "{{source}}"),
            unit="none",
            width=6,
            height=8,
            thresholds=((None, RED), (1, GREEN)),
            mappings=[words([(0, "fails · ناموفق", RED), (1, "reads · می‌خواند", GREEN)])],
        )
    )
    made.with_panel(
        lines(
            "Exchange records",
            "رکوردهای تبادل",
            "Exchange records per second: read, seen before, and paired with their other side.",
            query(_rate("peyvand_exchange_records_total"), both("read", "خوانده")),
            query(_rate("peyvand_exchange_duplicates_total"), both("seen before", "تکراری")),
            query(_rate("peyvand_exchange_paired_total"), both("paired", "جفت‌شده")),
            unit="ops",
            width=6,
        )
    )
    made.with_panel(
        lines(
            "Waiting in the collector",
            "منتظر در گردآور",
            "Records waiting for their other side, and summaries that the bus has not acknowledged. Both are some for a moment; "
            "neither should grow.",
            query(f"sum(peyvand_exchange_orphans{{{_OF}}})", both("one side", "یک‌طرفه")),
            query(f"sum(peyvand_exchange_unpublished{{{_OF}}})", both("unpublished", "منتشرنشده")),
            unit="short",
            width=6,
            thresholds=((None, "transparent"), (10_000, ORANGE), (100_000, RED)),
        )
    )
    made.with_panel(
        lines(
            "Requests to the api",
            "درخواست‌ها از رابط",
            "Requests per second that the api answered, by status code.",
            query(_rate("peyvand_api_requests_total", "code"), "{{code}}"),
            unit="reqps",
            width=8,
            stacked=True,
        )
    )
    made.with_panel(
        lines(
            "Time to answer",
            "زمان پاسخ",
            "How long the api took, by method: all but one request in a hundred.",
            query(_quantile(0.99, "peyvand_api_request_seconds", "method"), "{{method}}"),
            unit="s",
            width=8,
            empty="nobody asked",
            thresholds=((None, "transparent"), (0.1, ORANGE), (1, RED)),
        )
    )
    made.with_panel(
        lines(
            "Watches",
            "ناظران",
            "Watches open: clients that are told of every change.",
            query(f"sum(peyvand_api_watchers{{{_OF}}})", both("watches", "ناظران")),
            unit="short",
            width=8,
            steps_only=True,
        )
    )
