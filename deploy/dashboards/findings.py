"""Builds the row of what exchanges show, on the dashboard of the government."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.dashboards.board import both, query, to_page
from deploy.dashboards.panels import bars, lines
from deploy.dashboards.style import (
    BAD_IS_MORE,
    BROWN,
    ORANGE,
    RED,
    YELLOW,
    coloured,
    named,
)
from services.core.model import FindingKind

__all__ = ["findings_row"]

_FINDINGS = 'sum by (kind) (max by (kind, state) (peyvand_findings{state!="dismissed"}))'
_KINDS = {
    FindingKind.SILENCE: (both("stopped", "قطع"), RED),
    FindingKind.FALL: (both("fell", "کاهش"), ORANGE),
    FindingKind.RISE: (both("rose", "افزایش"), YELLOW),
    FindingKind.BUS_FAILURES: (both("the bus fails", "خطای گذرگاه"), "#c4162a"),
    FindingKind.PROVIDER_FAILURES: (both("the provider fails", "خطای پاسخ‌دهنده"), "#fa6400"),
    FindingKind.SLOW: (both("slower", "کندتر"), "#8f3bb8"),
    FindingKind.SIZE: (both("another size", "تغییر اندازه"), "#3274d9"),
    FindingKind.REPEATS: (both("sent again", "ارسال دوباره"), BROWN),
}
"""The names of findings of each kind, and their colours over time."""


def findings_row(made: Dashboard) -> None:
    """Add the row of findings."""
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
