"""Builds the dashboard of the monitor itself: its state, probers and vantages, the spool, the bus, and its readers."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.dashboards.board import both, frame, query, variable
from deploy.dashboards.component_queries import OF, increase, quantile, rate
from deploy.dashboards.panels import bars, lines, number, timeline
from deploy.dashboards.pipeline_readers import add_archive, add_exchanges_and_api, add_scorer
from deploy.dashboards.style import (
    BAD_IS_MORE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    STAGE_SERIES,
    coloured,
    named,
    words,
)

__all__ = ["dashboard"]

_COMPONENTS = "prober|scorer|archive|collector|api|console"
_JOB = ("job", both("Job", "کار"), f'label_values(up{{job=~"{_COMPONENTS}"}}, job)')
_INSTANCE = ("instance", both("Instance", "نمونه"), 'label_values(up{job=~"$job"}, instance)')
_UP = f"max by (job, instance) (up{{{OF}}})"
_SERVING = f"max by (job, instance) (peyvand_serving{{{OF}}})"
_MIB = 1 << 20


def dashboard() -> Dashboard:
    """Return the dashboard."""
    made = frame(
        "pipeline",
        both("Peyvand / Pipeline", "خط سنجش"),
        "Whether Peyvand itself is well: what it cannot see becomes unknown, never a fault of a target. Read it before believing "
        "a fall of the index.",
        [variable(*_JOB, many=True, every=_COMPONENTS), variable(*_INSTANCE, many=True)],
        page="/monitor",
    )
    _state(made)
    _probers(made)
    _bus(made)
    add_scorer(made)
    add_archive(made)
    add_exchanges_and_api(made)
    return made


def _state(made: Dashboard) -> None:
    made.with_row(Row(both("State", "وضعیت")))
    made.with_panel(
        timeline(
            "Components",
            "اجزا",
            "Whether each component answers Prometheus, and says that it serves: what it depends on answers as well.",
            query(f"{_UP} + ({_SERVING} or {_UP} * 0)", "{{job}} {{instance}}"),
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
            query(f"max by (job, instance) (peyvand_bus_connected{{{OF}}})", "{{job}} {{instance}}"),
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
            query(f"max by (vantage, instance) (peyvand_vantage_blind{{{OF}}})", "{{vantage}} {{instance}}"),
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
            query(f"time() - max(peyvand_index_as_of_timestamp_seconds{{{OF}}})"),
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
            query(f"sum(peyvand_spool_batches{{{OF}}})"),
            unit="short",
            width=3,
            height=7,
            thresholds=((None, GREEN), (100, ORANGE), (1000, RED)),
            sparkline=True,
        )
    )


def _probers(made: Dashboard) -> None:
    made.with_row(Row(both("Probers", "کاوشگرها")))
    made.with_panel(
        lines(
            "Probes by outcome",
            "کاوش‌ها به تفکیک نتیجه",
            "Probes per second, by outcome. Unknown is our own fault: a blind vantage, overload, a missing credential.",
            query(rate("peyvand_probe_outcomes_total", "outcome"), "{{outcome}}"),
            unit="ops",
            width=12,
            stacked=True,
            series={**STAGE_SERIES, "unknown": [named(both("Unknown", "نامعلوم")), coloured(GREY)]},
        )
    )
    made.with_panel(
        lines(
            "Lag of starts",
            "تأخیر آغاز",
            "How late probes start: half of them, and all but one in a hundred. Beyond a tenth of a second, timings are "
            "suspect: the machine is too busy.",
            query(quantile(0.5, "peyvand_probe_schedule_lag_seconds"), both("half", "میانه")),
            query(quantile(0.99, "peyvand_probe_schedule_lag_seconds"), "99 %"),
            unit="s",
            width=6,
            thresholds=((None, "transparent"), (0.1, ORANGE), (1, RED)),
        )
    )
    made.with_panel(
        bars(
            "Lost probes",
            "کاوش‌های از دست رفته",
            "In the time shown: probes that did not finish within their slot, that were shed for overload, and slots leapt "
            "over because the machine slept. All of them count as unknown.",
            query(increase("peyvand_probe_overruns_total"), both("overruns", "ناتمام")),
            query(increase("peyvand_probe_shed_total"), both("shed", "کنار گذاشته")),
            query(increase("peyvand_probe_leapt_slots_total"), both("slots leapt", "نوبت‌های پریده")),
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
            query(f"sum by (instance) (peyvand_probe_inflight{{{OF}}})", "{{instance}}"),
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
            query(f"sum by (instance) (peyvand_probe_targets{{{OF}}})", "{{instance}}"),
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
            query(f"max by (instance) (peyvand_probe_peers{{{OF}}})", "{{instance}}"),
            unit="short",
            width=6,
            thresholds=((None, "transparent"), (2, GREEN)),
            steps_only=True,
        )
    )
    made.with_panel(
        lines(
            "Unknown, by reason",
            "نامعلوم، به تفکیک علت",
            "Share of the probes that said nothing of their target, by why. Above a fifth an alert tells.",
            query(
                "sum by (reason) (rate(peyvand_probe_reasons_total"
                f'{{{OF},reason=~"prober_error|overrun|shed|vantage_blind|own_credential|egress_denied|local_resources|resolver_failed|proxy_failed"}}'
                f"[$__rate_interval])) / on () group_left () ({rate('peyvand_probe_outcomes_total')} > 0)",
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
            query(f"sum by (instance) (peyvand_spool_bytes{{{OF}}})", "{{instance}}"),
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
            query(quantile(0.5, "peyvand_publish_seconds"), both("half", "میانه")),
            query(quantile(0.99, "peyvand_publish_seconds"), "99 %"),
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
                f"sum by (stream) (deriv(peyvand_stream_last_sequence{{{OF}}}[$__rate_interval]))",
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
            query(f"max by (stream) (peyvand_stream_bytes{{{OF}}})", "{{stream}}"),
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
            query(f"max by (stream) (peyvand_stream_messages{{{OF}}})", "{{stream}}"),
            unit="short",
            width=12,
        )
    )
    made.with_panel(
        lines(
            "Scorer: messages to read",
            "محاسبه‌گر شاخص: پیام‌های نخوانده",
            "Messages of stream MEASUREMENTS that the scorer has not taken in.",
            query(f"max(peyvand_scorer_behind_messages{{{OF}}})", both("behind", "نخوانده")),
            unit="short",
            width=12,
            thresholds=((None, "transparent"), (1000, ORANGE), (10_000, RED)),
        )
    )
