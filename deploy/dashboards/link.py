"""Builds the dashboard of one link: its verdicts and reasons by slot, its phases, and what the data bus saw of it."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.dashboards.board import AGENCY, LINK, SECTOR, both, frame, query, to, variable
from deploy.dashboards.panels import bars, lines, number, timeline
from deploy.dashboards.style import (
    ANSWER_TIME,
    GREEN,
    ORANGE,
    RED,
    STAGES,
    YELLOW,
    coloured,
    from_stages,
    named,
    words,
)
from services.core.model import Stage

__all__ = ["dashboard"]

_STAGE = 'max by (link) (peyvand_link_stage{link="$link"})'
_OF_BOTH = 'max by (link, consumer, provider) (peyvand_link_stage{link="$link"})'
_TO_BOTH = [
    to("agency", both("Its provider", "پاسخ‌دهنده‌اش"), agency="${__field.labels.provider}"),
    to("agency", both("Its consumer", "استعلام‌کننده‌اش"), agency="${__field.labels.consumer}"),
]
_TO_PIPELINE = to("pipeline", both("Is the monitor well?", "آیا سنجش سالم است؟"))
_DAY = 86_400
_SPANS = {"1h": 14.4, "6h": 6.0, "1d": 3.0, "3d": 1.0}
_PHASES = {
    "resolve": ("نام", "#8ab8ff"),
    "connect": ("اتصال", "#5794f2"),
    "tls": ("رمزگذاری", "#8f3bb8"),
    "processing": ("پردازش", "#ff9830"),
    "transfer": ("انتقال", "#56a64b"),
}


def dashboard() -> Dashboard:
    """Return the dashboard."""
    made = frame(
        "link",
        both("Peyvand / Link", "پیوند"),
        "One link: one agency's service asking another agency for one data item. Chosen by its consumer.",
        [variable(*SECTOR, many=True), variable(*AGENCY), variable(*LINK)],
        page="/link/$link",
    )
    _verdicts(made)
    _probes(made)
    _exchanges(made)
    return made


def _verdicts(made: Dashboard) -> None:
    made.with_row(Row(both("Verdicts", "نتیجه‌ها")))
    made.with_panel(
        number(
            "Last settled slot",
            "آخرین نوبت",
            "The stage the last settled slot reached, over all vantages. Empty while unknown.",
            query(_OF_BOTH),
            unit="none",
            width=5,
            height=5,
            thresholds=from_stages(),
            mappings=[STAGES],
            links=[*_TO_BOTH, _TO_PIPELINE],
            empty="unknown",
        )
    )
    made.with_panel(
        number(
            "Answered well",
            "پاسخ درست",
            "Share of the known slots of the time shown that were OK: automatically, correctly and on time.",
            query(f"avg_over_time(({_STAGE} == bool {Stage.OK:d})[$__range:])", instant=True),
            unit="percentunit",
            decimals=1,
            width=4,
            height=5,
        )
    )
    made.with_panel(
        bars(
            "Error budget burn",
            "مصرف بودجهٔ خطا",
            "How many times faster than its SLO allows the link fails, over each span. Shown from 14.4 over 1 h, 6 over 6 h, 3 "
            "over 1 d and 1 over 3 d: those are what alerts ask for.",
            *(query(f'max(peyvand_link_burn{{link="$link",span="{span}"}})', span) for span in _SPANS),
            unit="short",
            decimals=1,
            width=7,
            height=5,
            thresholds=((None, YELLOW), (6, ORANGE), (14.4, RED)),
            empty="within its budget",
        )
    )
    made.with_panel(
        number(
            "Cost to the government",
            "هزینه برای دولت",
            "What the government's index over the default window would gain if this link alone were always OK; empty unless it "
            "is among the ten of its consumer or its provider that gain most.",
            query('max(peyvand_link_gain{link="$link"})'),
            unit="percentunit",
            decimals=2,
            width=4,
            height=5,
            thresholds=((None, YELLOW), (0.005, ORANGE), (0.01, RED)),
            empty="not among the costliest",
        )
    )
    made.with_panel(
        number(
            "Certificate",
            "گواهی",
            "Time until the earliest certificate of the chain expires, as the last probes saw it; negative when it has. "
            "Empty where no TLS is spoken.",
            query('min(probe_ssl_earliest_cert_expiry{target="$link"}) - time()'),
            unit="s",
            decimals=0,
            width=4,
            height=5,
            thresholds=((None, RED), (7 * _DAY, ORANGE), (30 * _DAY, GREEN)),
            empty="no TLS",
        )
    )
    made.with_panel(
        timeline(
            "Stage by slot",
            "مرحله در هر نوبت",
            "The verdict of every settled slot. A gap is unknown: nobody could see, which is never held against the link.",
            query(_OF_BOTH, both("stage", "مرحله")),
            width=24,
            height=4,
            thresholds=from_stages(),
            mappings=[STAGES],
            links=_TO_BOTH,
        )
    )
    made.with_panel(
        timeline(
            "Why it was not OK",
            "چرا درست نبود",
            "The reason of each settled slot that was not OK, a row per reason; reasons are explained in docs/probing.md.",
            query('max by (reason, consumer, provider) (peyvand_link_reason{link="$link"})', "{{reason}}"),
            width=24,
            height=5,
            thresholds=((None, ORANGE),),
            mappings=[words([(1, "not OK · نادرست", ORANGE)])],
            links=[_TO_PIPELINE, *_TO_BOTH],
            empty="it was OK in every slot",
        )
    )


def _probes(made: Dashboard) -> None:
    made.with_row(Row(both("Probes", "کاوش‌ها")))
    made.with_panel(
        lines(
            "Phases",
            "گام‌ها",
            "How long each phase of the last probe took: resolving the name, connecting, TLS, the other side's processing, "
            "transfer. Averaged over probers. The register judges by 2 s and gives up after 5 s, where it does not say otherwise.",
            query('avg by (phase) (probe_http_duration_seconds{target="$link"})', "{{phase}}"),
            unit="s",
            width=12,
            thresholds=ANSWER_TIME,
            stacked=True,
            series={
                phase: [named(both(phase, persian)), coloured(colour)] for phase, (persian, colour) in _PHASES.items()
            },
        )
    )
    made.with_panel(
        lines(
            "Duration, by prober",
            "مدت، به تفکیک کاوشگر",
            "How long the last probe of each prober took. One prober alone that is slow is the network's fault or its own.",
            query('max by (instance) (probe_duration_seconds{target="$link"})', "{{instance}}"),
            unit="s",
            width=6,
            thresholds=ANSWER_TIME,
        )
    )
    made.with_panel(
        lines(
            "HTTP status",
            "وضعیت پاسخ",
            "Status of the last answer, by prober; nothing where there was none.",
            query('max by (instance) (probe_http_status_code{target="$link"})', "{{instance}}"),
            unit="none",
            width=6,
            steps_only=True,
            lowest=None,
            thresholds=((None, "transparent"), (400, YELLOW), (500, RED)),
        )
    )
    made.with_panel(
        timeline(
            "Success, by prober",
            "موفقیت، به تفکیک کاوشگر",
            "Whether the last probe of each prober was OK; a gap is unknown. Where probers disagree, look at their networks.",
            query('max by (instance) (probe_success{target="$link"})', "{{instance}}"),
            width=24,
            height=4,
            thresholds=((None, RED), (1, GREEN)),
            mappings=[words([(0, "failed · ناموفق", RED), (1, "OK · درست", GREEN)])],
        )
    )


def _exchanges(made: Dashboard) -> None:
    made.with_row(Row(both("Exchanges beside probes", "تبادل در برابر کاوش")))
    answered = 'sum by (link) (max by (link, result) (peyvand_link_exchanges{link="$link",result="ok"}))'
    every = 'sum by (link) (max by (link, result) (peyvand_link_exchanges{link="$link"}))'
    made.with_panel(
        lines(
            "Answered: probes and exchanges",
            "پاسخ‌ها: کاوش و تبادل",
            "Share of the slots of the last hour that were answered, whatever the content; beside the share of real exchanges "
            "that the data bus logged as answered over the default window. A gap that stays says that one of them is wrong.",
            query(f"avg_over_time(({_STAGE} >= bool {Stage.INVALID:d})[1h:])", both("probes", "کاوش")),
            query(f"{answered} / {every}", both("exchanges", "تبادل")),
            unit="percentunit",
            highest=1,
            width=14,
            thresholds=((None, "transparent"), (0.95, GREEN)),
            series={
                both("probes", "کاوش"): [coloured("#1f60c4")],
                both("exchanges", "تبادل"): [coloured(ORANGE)],
            },
        )
    )
    made.with_panel(
        lines(
            "Exchanges of this link",
            "تبادل‌های این پیوند",
            "Exchanges on the X-Road services of this link over the default window, as the data bus logged them, by result. "
            "Other links on the same X-Road service are in it.",
            query('max by (result) (peyvand_link_exchanges{link="$link"})', "{{result}}"),
            unit="short",
            width=10,
            stacked=True,
            series={
                "ok": [named(both("answered", "پاسخ داده")), coloured(GREEN)],
                "failed": [named(both("failed", "ناموفق")), coloured(RED)],
            },
        )
    )
