"""Builds the row of what one agency exchanges over the data bus, and of the findings about that."""

from __future__ import annotations

from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.dashboards.board import both, query, to, to_page
from deploy.dashboards.panels import bars, lines, number
from deploy.dashboards.style import BAD_IS_MORE, GREEN, ORANGE, RED, coloured, named

__all__ = ["add_exchanges"]

_MOST_PARTNERS = 10


def add_exchanges(made: Dashboard, sides: Mapping[str, str]) -> None:
    """Add a row about an agency's exchanges; ``sides`` are consumer and provider with their Persian names."""
    made.with_row(Row(both("What the data bus carried", "آنچه گذرگاه داده برد")))
    for side, persian in sides.items():
        made.with_panel(
            lines(
                f"Exchanges as {side}",
                f"تبادل‌ها، {persian}",
                "Exchanges that the data bus logged over the longest window, by result; meta services left out. Real traffic, "
                "not probes.",
                query(
                    "sum by (result) (max by (consumer, provider, result) "
                    f'(peyvand_exchanges{{{side}="$agency",meta="false"}}))',
                    "{{result}}",
                ),
                unit="short",
                width=7,
                stacked=True,
                empty="nothing was exchanged",
                series={
                    "ok": [named(both("answered", "پاسخ داده")), coloured(GREEN)],
                    "bus_failure": [named(both("the bus failed", "خطای گذرگاه")), coloured(ORANGE)],
                    "provider_failure": [named(both("the provider failed", "خطای پاسخ‌دهنده")), coloured(RED)],
                },
            )
        )
    partners = (
        'sum by (provider) (max by (consumer, provider, result) (peyvand_exchanges{consumer="$agency",meta="false"}))'
    )
    made.with_panel(
        bars(
            "Whom it asks most",
            "از چه کسی بیشتر می‌پرسد",
            "Providers by the exchanges this agency had with them over the longest window, as the data bus logged them.",
            query(f"topk({_MOST_PARTNERS}, {partners})", "{{provider}}", instant=True),
            unit="short",
            width=6,
            thresholds=((None, "#5794f2"),),
            links=[to("agency", both("This agency", "این دستگاه"), agency="${__field.labels.provider}")],
            empty="nothing was exchanged",
        )
    )
    made.with_panel(
        number(
            "Findings",
            "یافته‌ها",
            "Findings about exchanges that go on and touch this agency, as the one that asks or answers. The console's page of "
            "the agency says each in a sentence.",
            query('max(peyvand_agency_findings{agency="$agency"})'),
            unit="short",
            decimals=0,
            width=4,
            height=8,
            thresholds=BAD_IS_MORE,
            sparkline=True,
            links=[to_page("/agency/$agency", both("Each in a sentence", "هر یک در یک جمله"))],
        )
    )
