"""Builds the rows of the pipeline's dashboard about the scorer, the archive, the collectors and the api.

They read from the bus, or feed it from logs.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.dashboards.board import both, query
from deploy.dashboards.component_queries import OF, increase, quantile, rate
from deploy.dashboards.panels import bars, lines, timeline
from deploy.dashboards.style import BAD_IS_MORE, GREEN, ORANGE, RED, words

__all__ = ["add_archive", "add_exchanges_and_api", "add_scorer"]


def add_scorer(made: Dashboard) -> None:
    """Add the row of how far the scorer is, and what it had to leave out."""
    made.with_row(Row(both("Scorer", "محاسبه‌گر شاخص")))
    made.with_panel(
        lines(
            "Delay",
            "تأخیر",
            "Age of the last slot counted, of the newest slot measured, and of the newest of each vantage. The first beyond the "
            "second by more than a slot: the scorer is late. Both growing: nothing is measured. A vantage alone: its probers "
            "are gone.",
            query(f"time() - max(peyvand_index_as_of_timestamp_seconds{{{OF}}})", both("index", "شاخص")),
            query(f"max(peyvand_measurement_age_seconds{{{OF}}})", both("newest measurement", "تازه‌ترین سنجش")),
            query(f"time() - max by (vantage) (peyvand_vantage_newest_timestamp_seconds{{{OF}}})", "{{vantage}}"),
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
            query(quantile(0.5, "peyvand_scorer_refresh_seconds"), both("half", "میانه")),
            query(quantile(0.99, "peyvand_scorer_refresh_seconds"), "99 %"),
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
            query(rate("peyvand_measurements_total"), both("taken in", "پذیرفته")),
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
            query(increase("peyvand_measurements_late_total"), both("late", "دیر")),
            query(increase("peyvand_measurements_rejected_total"), both("rejected", "ناخوانا")),
            query(increase("peyvand_spool_dropped_total"), both("dropped", "دورریخته")),
            query(increase("peyvand_exchange_rejected_total"), both("records rejected", "رکورد ناخوانا")),
            query(increase("peyvand_exchange_expired_total"), both("records expired", "رکورد کهنه")),
            query(increase("peyvand_exchange_skipped_seconds_total"), both("seconds skipped", "ثانیه ناخوانا")),
            unit="short",
            decimals=0,
            width=6,
            thresholds=BAD_IS_MORE,
        )
    )


def add_archive(made: Dashboard) -> None:
    """Add the row of how far the dataset is behind the bus."""
    made.with_row(Row(both("Archive", "بایگانی")))
    made.with_panel(
        lines(
            "Not archived yet",
            "هنوز بایگانی‌نشده",
            "Age of the oldest message that is not in the dataset, by kind of evidence. It grows to a minute and falls again; the bus "
            "keeps everything for seven days.",
            query(f"time() - min by (kind) (peyvand_archive_position_timestamp_seconds{{{OF}}})", "{{kind}}"),
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
            query(rate("peyvand_archive_rows_total", "kind"), "{{kind}}"),
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
            query(f"max(peyvand_archive_unsealed{{{OF}}})", both("not sealed", "مهرنشده")),
            query(increase("peyvand_archive_rejected_total"), both("unreadable", "ناخوانا")),
            unit="short",
            width=8,
            thresholds=BAD_IS_MORE,
            steps_only=True,
        )
    )


def _age(name: str) -> str:
    return f"time() - max by (source) ({name}{{{OF}}})"


def add_exchanges_and_api(made: Dashboard) -> None:
    """Add the row of what collectors read and what the api answers."""
    made.with_row(Row(both("Exchanges and answers", "تبادل‌ها و پاسخ‌ها")))
    made.with_panel(
        lines(
            "Sources read up to",
            "خوانده‌شده تا",
            "How far behind now each source was read, whether it had anything or not (security servers are asked a minute "
            "behind), and how old its newest exchange is: old though it is read, and nobody exchanges or its log stands still. "
            "Published: for how long exchanges wait for the bus.",
            query(_age("peyvand_exchange_position_timestamp_seconds"), "{{source}}"),
            query(_age("peyvand_exchange_newest_timestamp_seconds"), "{{source}}: " + both("newest", "تازه‌ترین")),
            query(f"time() - min(peyvand_exchange_published_timestamp_seconds{{{OF}}})", both("published", "منتشرشده")),
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
            query(f"min by (source) (peyvand_exchange_source_up{{{OF}}})", "{{source}}"),
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
            query(rate("peyvand_exchange_records_total"), both("read", "خوانده")),
            query(rate("peyvand_exchange_duplicates_total"), both("seen before", "تکراری")),
            query(rate("peyvand_exchange_paired_total"), both("paired", "جفت‌شده")),
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
            query(f"sum(peyvand_exchange_orphans{{{OF}}})", both("one side", "یک‌طرفه")),
            query(f"sum(peyvand_exchange_unpublished{{{OF}}})", both("unpublished", "منتشرنشده")),
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
            query(rate("peyvand_api_requests_total", "code"), "{{code}}"),
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
            query(quantile(0.99, "peyvand_api_request_seconds", "method"), "{{method}}"),
            unit="s",
            width=8,
            empty="nobody asked",
            thresholds=((None, "transparent"), (0.1, ORANGE), (1, RED)),
        )
    )
    made.with_panel(
        lines(
            "Watches",
            "دنبال‌کنندگان",
            "Watches open: clients that are told of every change.",
            query(f"sum(peyvand_api_watchers{{{OF}}})", both("watches", "دنبال‌کنندگان")),
            unit="short",
            width=8,
            steps_only=True,
        )
    )
