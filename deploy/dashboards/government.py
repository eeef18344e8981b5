"""The government as a whole: how integrated it is, where that is lost, and who to turn to."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.builders.table import Panel

from deploy.dashboards.board import SECTOR, WINDOW, agency_names, both, frame, query, table_query, to, to_page, variable
from deploy.dashboards.panels import bars, lines, number, rows, stacked_bars, timeline
from deploy.dashboards.style import (
    BAD_IS_MORE,
    BROWN,
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
    in_colour,
    judged,
    named,
    shown_as,
    unlisted,
)
from services.core.model import FindingKind, Stage

__all__ = ["dashboard"]

_GOVERNMENT = 'kind="government",window="$window"'
_INDEX = f"max(peyvand_index{{{_GOVERNMENT}}})"
_LOWER = f"max(peyvand_index_lower{{{_GOVERNMENT}}})"
_UPPER = f"max(peyvand_index_upper{{{_GOVERNMENT}}})"
_INTERVAL = {bound: f'max(peyvand_index_interval{{{_GOVERNMENT},bound="{bound}"}})' for bound in ("low", "high")}
_KNOWN = f"max(peyvand_index_known_share{{{_GOVERNMENT}}})"
_FAILED = tuple(stage for stage in Stage if stage is not Stage.OK)
_MANY = 10
_FINDINGS = 'sum by (kind) (max by (kind, state) (peyvand_findings{state!="dismissed"}))'
_KINDS = {
    FindingKind.SILENCE: (both("stopped", "قطع"), RED),
    FindingKind.FALL: (both("fell", "کاهش"), ORANGE),
    FindingKind.RISE: (both("rose", "افزایش"), YELLOW),
    FindingKind.BUS_FAILURES: (both("the bus fails", "خطای گذرگاه"), "#c4162a"),
    FindingKind.PROVIDER_FAILURES: (both("the provider fails", "خطای ارائه‌دهنده"), "#fa6400"),
    FindingKind.SLOW: (both("slower", "کندتر"), "#8f3bb8"),
    FindingKind.SIZE: (both("another size", "تغییر اندازه"), "#3274d9"),
    FindingKind.REPEATS: (both("sent again", "ارسال دوباره"), BROWN),
}
"""What findings of each kind are called, and their colour over time."""


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
    _findings(made)
    _structure(made)
    _who(made)
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
            links=[to("pipeline", both("Pipeline", "خط اندازه‌گیری"))],
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
            "Live links by the verdict of the last settled slot: OK, failed at some stage, or unknown. Those on paper are required "
            "by law and not built.",
            query(f"max({_now('=', 'ok')})", both("OK", "درست")),
            query(
                f"sum(max by (verdict) ({_now('!~', 'ok|unknown|absent')}))",
                both("failed", "ناموفق"),
            ),
            query(f"max({_now('=', 'unknown')})", both("unknown", "نامعلوم")),
            query('max(peyvand_links{state="absent"})', both("on paper", "روی کاغذ")),
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
            "آبشار ازدست‌رفته‌ها",
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
            unit="none",
            width=24,
            height=4,
            thresholds=from_stages(),
            mappings=[STAGES],
        )
    )


def _findings(made: Dashboard) -> None:
    made.with_row(Row(both("What the exchanges show", "آنچه تبادل‌ها نشان می‌دهد")))
    page = to_page("/findings", both("Each finding in a sentence", "هر یافته در یک جمله"))
    made.with_panel(
        bars(
            "Findings now",
            "یافته‌ها اکنون",
            "Findings about real exchanges that go on, by what happened, without those that people dismissed. By chance there "
            "are no more of them a week than the policy's budget. The console says each in a sentence: where, since when, and what "
            "probes say.",
            query(_FINDINGS, "{{kind}}", instant=True),
            unit="short",
            decimals=0,
            width=8,
            thresholds=BAD_IS_MORE,
            series={kind.value: [named(name)] for kind, (name, _) in _KINDS.items()},
            links=[page],
            empty="exchanges were not looked at yet",
        )
    )
    made.with_panel(
        lines(
            "Findings over time",
            "یافته‌ها در گذر زمان",
            "The same over time: when findings began and ended. A finding of the bus or of a provider takes the place of those "
            "of its flows.",
            query(_FINDINGS, "{{kind}}"),
            unit="short",
            width=16,
            thresholds=((None, "transparent"), (1, ORANGE)),
            stacked=True,
            steps_only=True,
            series={kind.value: [named(name), coloured(colour)] for kind, (name, colour) in _KINDS.items()},
            links=[page],
            empty="exchanges were not looked at yet",
        )
    )


def _structure(made: Dashboard) -> None:
    made.with_row(Row(both("How agencies hang together", "پیوستگی دستگاه‌ها")))
    made.with_panel(
        lines(
            "Islands",
            "جزیره‌ها",
            "Groups of agencies that reach each other over working links, and agencies that take part in none. One island "
            "and no isolate is the aim.",
            query('max(peyvand_islands{window="$window"})', both("islands", "جزیره‌ها")),
            query('max(peyvand_isolates{window="$window"})', both("isolates", "تنهاماندگان")),
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


def _who(made: Dashboard) -> None:
    made.with_row(Row(both("Whom to turn to", "به سراغ چه کسی برویم")))
    made.with_panel(_worst("provider", "Worst providers", "ضعیف‌ترین ارائه‌دهندگان", "links it answers"))
    made.with_panel(_worst("consumer", "Worst consumers", "ضعیف‌ترین درخواست‌کنندگان", "links its services need"))
    made.with_panel(
        bars(
            "Sectors",
            "بخش‌ها",
            "The index of each sector, by the agencies whose services need the links.",
            query(
                'sort(max by (id) (peyvand_index{kind="sector",id=~"$sector",window="$window"}))',
                "{{id}}",
                instant=True,
            ),
            unit="percentunit",
            decimals=1,
            highest=1,
            width=8,
            height=10,
            links=[to("agency", both("Agencies of this sector", "دستگاه‌های این بخش"), sector="${__field.labels.id}")],
            empty="not publishable",
        )
    )
    gains = "max by (link, service, consumer, provider) (peyvand_link_gain)"
    costs = f"topk({_MANY}, {gains} and on (consumer) {_of_sector('consumer')})"
    gain = both("Gain", "افزایش")
    made.with_panel(
        rows(
            "Costliest links",
            "پرهزینه‌ترین پیوندها",
            "What the government's index over the default window would gain if each link alone were always OK: repairing the "
            "first raises it most. That is what is lost on the link, and more where unmeasured links are imputed from it. Of the "
            "sectors chosen, by the agencies whose services need the links.",
            table_query(costs),
            table_query(f"max by (link) (peyvand_link_loss) and on (link) {costs}"),
            by="link",
            columns=[
                ("link", both("Link", "پیوند"), ()),
                ("consumer", both("Consumer", "درخواست‌کننده"), ()),
                ("provider", both("Provider", "ارائه‌دهنده"), ()),
                ("Value #A", gain, shown_as("percentunit", 2)),
                ("Value #B", both("Loss", "ازدست‌رفته"), shown_as("percentunit", 2)),
            ],
            unit="none",
            thresholds=((None, YELLOW), (0.005, ORANGE), (0.01, RED)),
            width=24,
            sort=gain,
            descending=True,
            links={
                both("Link", "پیوند"): to(
                    "link",
                    both("This link", "این پیوند"),
                    agency="${__data.fields.consumer}",
                    link="${__data.fields.link}",
                ),
                both("Provider", "ارائه‌دهنده"): to(
                    "agency", both("This agency", "این دستگاه"), agency="${__data.fields.provider}"
                ),
                both("Consumer", "درخواست‌کننده"): to(
                    "agency", both("This agency", "این دستگاه"), agency="${__data.fields.consumer}"
                ),
            },
        )
    )


def _worst(kind: str, title: str, persian: str, of: str) -> Panel:
    of_kind = f'kind="{kind}",window="$window"'
    chosen = f"bottomk({_MANY}, max by (id) (peyvand_index{{{of_kind}}}) and on (id) {_of_sector('id')})"
    agency = both("Agency", "دستگاه")
    return rows(
        title,
        persian,
        f"The agencies of the sectors chosen with the lowest index as {kind}: of 100 inquiries on the {of}, how many are "
        "answered well. Agencies too little is known of are not listed.",
        table_query(f"{chosen} * on (id) group_left (name_fa) {agency_names('id')}"),
        table_query(f"max by (id) (peyvand_index_lower{{{of_kind}}}) and on (id) {chosen}"),
        table_query(f"max by (id) (peyvand_index_known_share{{{of_kind}}}) and on (id) {chosen}"),
        by="id",
        columns=[
            ("id", agency, ()),
            ("name_fa", both("Name", "نام"), ()),
            ("Value #A", both("Index", "شاخص"), [*shown_as("percentunit", 1), in_colour()]),
            ("Value #B", both("Lower", "کمترین"), shown_as("percentunit", 1)),
            ("Value #C", both("Known", "معلوم"), shown_as("percentunit", 1)),
        ],
        unit="percentunit",
        width=8,
        height=10,
        sort=both("Index", "شاخص"),
        links={
            agency: to(
                "agency",
                both("This agency", "این دستگاه"),
                agency="${__data.fields.id}",
                window="$window",
            )
        },
        empty="not publishable",
    )


def _of_sector(label: str) -> str:
    """The agencies of the sectors chosen, named by another label."""
    return (
        f'label_replace(max by (agency) (peyvand_agency_info{{sector=~"$sector"}}), "{label}", "$1", "agency", "(.+)")'
    )


def _now(operator: str, verdict: str) -> str:
    return f'peyvand_links_now{{kind="government",verdict{operator}"{verdict}"}}'


def _measure(name: str) -> str:
    return f'max(peyvand_structure{{measure="{name}",window="$window"}})'


def _base() -> str:
    """What each step of the waterfall stands on: the index, and every loss that comes after it."""
    later = {stage: [_loss(after) for after in _FAILED if after > stage] for stage in _FAILED}
    return " or ".join(_piece(" + ".join((_INDEX, *losses)), _step(stage)) for stage, losses in later.items())


def _loss(stage: Stage) -> str:
    return f'max(peyvand_index_loss{{{_GOVERNMENT},stage="{stage.label}"}})'


def _step(stage: Stage) -> str:
    return f"{stage + 2} {'index' if stage is Stage.OK else stage.label.replace('_', ' ')}"


def _piece(expression: str, step: str) -> str:
    return f'label_replace({expression}, "step", "{step}", "", "")'
