"""Builds the row of whom to turn to for the government: who answers worst, and what each repair would gain."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.builders.table import Panel

from deploy.dashboards.board import agency_names, both, query, table_query, to
from deploy.dashboards.panels import bars
from deploy.dashboards.style import (
    ORANGE,
    RED,
    YELLOW,
    in_colour,
    shown_as,
)
from deploy.dashboards.tables import rows

__all__ = ["who_row"]

_MANY = 10


def who_row(made: Dashboard) -> None:
    """Add the row of sectors, agencies and links."""
    made.with_row(Row(both("Whom to turn to", "به سراغ چه کسی برویم")))
    made.with_panel(_worst("provider", "Worst providers", "ضعیف‌ترین پاسخ‌دهندگان", "links it answers"))
    made.with_panel(_worst("consumer", "Worst consumers", "ضعیف‌ترین استعلام‌کنندگان", "links its services need"))
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
                ("consumer", both("Consumer", "استعلام‌کننده"), ()),
                ("provider", both("Provider", "پاسخ‌دهنده"), ()),
                ("Value #A", gain, shown_as("percentunit", 2)),
                ("Value #B", both("Loss", "از دست رفته"), shown_as("percentunit", 2)),
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
                both("Provider", "پاسخ‌دهنده"): to(
                    "agency", both("This agency", "این دستگاه"), agency="${__data.fields.provider}"
                ),
                both("Consumer", "استعلام‌کننده"): to(
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
    """Return a query of the agencies of the chosen sectors, named by another label."""
    return (
        f'label_replace(max by (agency) (peyvand_agency_info{{sector=~"$sector"}}), "{label}", "$1", "agency", "(.+)")'
    )
