"""Builds the dashboard of the whole government: how integrated it is, where that is lost, and whom to turn to."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.dashboards.board import SECTOR, WINDOW, both, frame, query, table_query, to, variable
from deploy.dashboards.findings import findings_row
from deploy.dashboards.panels import bars, lines, number, stacked_bars, timeline
from deploy.dashboards.style import (
    BAD_IS_MORE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    STAGE_COLOURS,
    STAGE_NAMES,
    STAGES,
    YELLOW,
    coloured,
    dashed,
    from_stages,
    judged,
    unlisted,
)
from deploy.dashboards.who import who_row
from services.core.model import Stage

__all__ = ["dashboard"]

_GOVERNMENT = 'kind="government",window="$window"'
_INDEX = f"max(peyvand_index{{{_GOVERNMENT}}})"
_LOWER = f"max(peyvand_index_lower{{{_GOVERNMENT}}})"
_UPPER = f"max(peyvand_index_upper{{{_GOVERNMENT}}})"
_INTERVAL = {bound: f'max(peyvand_index_interval{{{_GOVERNMENT},bound="{bound}"}})' for bound in ("low", "high")}
_KNOWN = f"max(peyvand_index_known_share{{{_GOVERNMENT}}})"
_FAILED = tuple(stage for stage in Stage if stage is not Stage.OK)


def dashboard() -> Dashboard:
    """Return the dashboard."""
    made = frame(
        "government",
        both("Peyvand / Government", "دولت"),
        "Of every 100 inquiries the law requires one agency to make of another, how many would be answered automatically, "
        "correctly and on time? The Cross-agency Integration Index with its bounds, where it is lost, and to whom to turn.",
        [variable(*WINDOW, first="28"), variable(*SECTOR, many=True)],
    )
    _index(made)
    _losses(made)
    _data_bus(made)
    findings_row(made)
    _structure(made)
    who_row(made)
    return made


def _index(made: Dashboard) -> None:
    made.with_row(Row(both("The index", "شاخص")))
    made.with_panel(
        number(
            "Integration index",
            "شاخص یکپارچگی",
            "Of 100 required inquiries, how many would be answered automatically, correctly and on time. Absent while less is "
            "known than the policy asks for: then only the bounds say something.",
            query(_INDEX),
            unit="percentunit",
            decimals=1,
            width=5,
            height=6,
            sparkline=True,
            empty="not publishable",
        )
    )
    made.with_panel(
        number(
            "Bounds",
            "کمترین و بیشترین",
            "The index if everything unknown had failed (lower), and if it had all been OK (upper). The truth lies between.",
            query(_LOWER, both("lower", "کمترین")),
            query(_UPPER, both("upper", "بیشترین")),
            unit="percentunit",
            decimals=1,
            width=5,
            height=6,
        )
    )
    made.with_panel(
        number(
            "Known share",
            "سهم معلوم",
            "Share of the required weight that was measured. Below the policy's threshold (.8) no point is published: look at "
            "the pipeline first.",
            query(_KNOWN),
            unit="percentunit",
            decimals=1,
            width=4,
            height=6,
            thresholds=((None, RED), (0.8, YELLOW), (0.95, GREEN)),
            sparkline=True,
            links=[to("pipeline", both("Pipeline", "خط سنجش"))],
        )
    )
    made.with_panel(
        bars(
            "Three bars",
            "سه میله",
            "Side by side, never mixed: the integration score of the latest official round, as announced; the share of "
            "required links that the register declares built; and what is measured.",
            query('max(peyvand_three_bars{bar="official",window="$window"})', both("Official", "رسمی")),
            query('max(peyvand_three_bars{bar="declared",window="$window"})', both("Declared", "اعلام‌شده")),
            query('max(peyvand_three_bars{bar="measured",window="$window"})', both("Measured", "سنجیده")),
            unit="percentunit",
            decimals=1,
            highest=1,
            width=6,
            height=6,
        )
    )
    made.with_panel(
        number(
            "Links now",
            "پیوندها اکنون",
            "Links by the verdict of the last settled slot: OK, failed at some stage, or unknown. Those on paper are required by law "
            "and not built yet.",
            query(f"max({_now('=', 'ok')})", both("OK", "درست")),
            query(
                f"sum(max by (verdict) ({_now('!~', 'ok|unknown|not_live')}))",
                both("failed", "ناموفق"),
            ),
            query(f"max({_now('=', 'unknown')})", both("unknown", "نامعلوم")),
            query(f"max({_now('=', 'not_live')})", both("on paper", "روی کاغذ")),
            unit="short",
            width=4,
            height=6,
            thresholds=BAD_IS_MORE,
            series={
                both("OK", "درست"): [judged(((None, RED), (1, GREEN)))],
                both("unknown", "نامعلوم"): [judged(((None, GREEN), (1, GREY)))],
                both("on paper", "روی کاغذ"): [judged(((None, GREEN), (1, YELLOW)))],
            },
            links=[to("pipeline", both("What is unknown: is the monitor well?", "نامعلوم‌ها: آیا سنجش سالم است؟"))],
        )
    )


def _losses(made: Dashboard) -> None:
    made.with_row(Row(both("Where it is lost, and since when", "کجا و از کی از دست می‌رود")))
    pieces = [table_query(_base())]
    pieces += [table_query(_piece(" + ".join((_INDEX, *map(_loss, _FAILED))), "1 required"))]
    pieces += [table_query(_piece(_loss(stage), _step(stage))) for stage in _FAILED]
    pieces += [table_query(_piece(_INDEX, _step(Stage.OK)))]
    made.with_panel(
        stacked_bars(
            "Loss waterfall",
            "آبشار استعلام‌های از دست رفته",
            "From all that is required down to the index: each step is what is lost at the stage inquiries get stuck at. "
            "Links on paper are lost at the first. Absent with the index.",
            *pieces,
            along="step",
            unit="percentunit",
            highest=1,
            width=10,
            height=9,
            columns=[
                (both("below", "زیر"), [coloured("transparent"), unlisted()]),
                (both("required", "لازم"), [coloured(GREY)]),
                *((STAGE_NAMES[stage], [coloured(STAGE_COLOURS[stage])]) for stage in _FAILED),
                (both("index", "شاخص"), [coloured(STAGE_COLOURS[Stage.OK])]),
            ],
        )
    )
    made.with_panel(
        lines(
            "Trend",
            "روند",
            "The index over time, between its bounds and within its 95 % interval. Bounds far apart mean that little is known, "
            "not that things are bad. The interval says where the index lies in the long run, as chance goes: it is wide while "
            "the record is short or outages are few and long.",
            query(_LOWER, both("lower", "کمترین")),
            query(_UPPER, both("upper", "بیشترین")),
            query(_INDEX, both("index", "شاخص")),
            query(_INTERVAL["low"], both("interval from", "بازهٔ اطمینان از")),
            query(_INTERVAL["high"], both("interval to", "بازهٔ اطمینان تا")),
            unit="percentunit",
            highest=1,
            width=14,
            height=9,
            thresholds=((None, "transparent"), (0.8, YELLOW), (0.95, GREEN)),
            series={
                both("lower", "کمترین"): [coloured("#8ab8ff")],
                both("upper", "بیشترین"): [coloured("#8ab8ff")],
                both("index", "شاخص"): [coloured("#1f60c4")],
                both("interval from", "بازهٔ اطمینان از"): [coloured("#b877d9"), dashed()],
                both("interval to", "بازهٔ اطمینان تا"): [coloured("#b877d9"), dashed()],
            },
        )
    )


def _data_bus(made: Dashboard) -> None:
    made.with_panel(
        timeline(
            "The data bus",
            "گذرگاه داده",
            "What became of the data bus itself in every settled slot. While it fails, so does every link over it: that is one "
            "fault, not many.",
            query("max by (endpoint) (peyvand_data_bus_stage)", "{{endpoint}}"),
            width=24,
            height=4,
            thresholds=from_stages(),
            mappings=[STAGES],
        )
    )


def _structure(made: Dashboard) -> None:
    made.with_row(Row(both("How agencies are connected", "پیوستگی دستگاه‌ها")))
    made.with_panel(
        lines(
            "Islands",
            "جزیره‌ها",
            "Groups of agencies that reach each other over working links, and agencies that take part in none. One island "
            "and no isolate is the aim.",
            query('max(peyvand_islands{window="$window"})', both("islands", "جزیره‌ها")),
            query('max(peyvand_isolates{window="$window"})', both("isolates", "دستگاه‌های جدامانده")),
            unit="short",
            width=8,
            thresholds=((None, "transparent"), (2, ORANGE), (5, RED)),
            steps_only=True,
        )
    )
    made.with_panel(
        bars(
            "Structure",
            "ساختار",
            "Pair coverage: pairs of agencies with a required inquiry between them that works. Reciprocity: pairs that work in "
            "both directions. Resilience: what is left if the worst single node fails.",
            query(_measure("pair_coverage_weighted"), both("pair coverage", "پوشش جفت‌ها")),
            query(_measure("reciprocity"), both("reciprocity", "دوسویگی")),
            query(_measure("resilience"), both("resilience N−1", "تاب‌آوری")),
            unit="percentunit",
            decimals=1,
            highest=1,
            width=8,
            thresholds=((None, RED), (0.3, ORANGE), (0.6, YELLOW), (0.9, GREEN)),
        )
    )
    made.with_panel(
        lines(
            "Silos and concentration",
            "جزیره‌ای بودن و تمرکز",
            "Silo gap: the index within sectors less that between them. Provider concentration (HHI): near 1 means that one "
            "agency answers for nearly all; from .25 on antitrust agencies call a market highly concentrated.",
            query(_measure("silo_gap"), both("silo gap", "شکاف بخش‌ها")),
            query(_measure("provider_concentration"), both("concentration", "تمرکز")),
            unit="percentunit",
            width=8,
            thresholds=((None, "transparent"), (0.25, ORANGE), (0.5, RED)),
            lowest=None,
        )
    )


def _now(operator: str, verdict: str) -> str:
    return f'peyvand_links_now{{kind="government",verdict{operator}"{verdict}"}}'


def _measure(name: str) -> str:
    return f'max(peyvand_structure{{measure="{name}",window="$window"}})'


def _base() -> str:
    """Return a query of what each step of the waterfall stands on: the index, and every loss that comes after it."""
    later = {stage: [_loss(after) for after in _FAILED if after > stage] for stage in _FAILED}
    return " or ".join(_piece(" + ".join((_INDEX, *losses)), _step(stage)) for stage, losses in later.items())


def _loss(stage: Stage) -> str:
    return f'max(peyvand_index_loss{{{_GOVERNMENT},stage="{stage.label}"}})'


def _step(stage: Stage) -> str:
    return f"{stage + 2} {'index' if stage is Stage.OK else stage.label.replace('_', ' ')}"


def _piece(expression: str, step: str) -> str:
    return f'label_replace({expression}, "step", "{step}", "", "")'
