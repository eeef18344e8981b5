"""Builds the dashboard of one agency: as consumer and provider, its services, its costliest links, its exchanges."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.builders.table import Panel
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from deploy.dashboards.agency_exchanges import add_exchanges
from deploy.dashboards.board import (
    AGENCY,
    SECTOR,
    WINDOW,
    agency_names,
    both,
    frame,
    query,
    table_query,
    to,
    variable,
)
from deploy.dashboards.panels import bars, lines, number
from deploy.dashboards.style import (
    BROWN,
    GREY,
    LEVELS,
    LOST,
    ORANGE,
    RED,
    STAGE_SERIES,
    STAGES,
    YELLOW,
    coloured,
    in_colour,
    named,
    shown_as,
)
from deploy.dashboards.tables import rows
from services.core.model import LOSS_STAGES

__all__ = ["dashboard"]

_SIDES = {"consumer": "استعلام‌کننده", "provider": "پاسخ‌دهنده"}
_MANY = 10


def dashboard() -> Dashboard:
    """Return the dashboard."""
    made = frame(
        "agency",
        both("Peyvand / Agency", "دستگاه"),
        "One agency: how well its own services are served by others (consumer), how well it serves theirs (provider), and "
        "which links cost most.",
        [variable(*WINDOW, first="28"), variable(*SECTOR, many=True), variable(*AGENCY)],
        page="/agency/$agency",
    )
    for side, persian in _SIDES.items():
        _side(made, side, persian)
    _services(made)
    _links(made)
    add_exchanges(made, _SIDES)
    return made


def _of(side: str) -> str:
    return f'kind="{side}",id="$agency",window="$window"'


def _side(made: Dashboard, side: str, persian: str) -> None:
    of = _of(side)
    what = "the links its services need of others" if side == "consumer" else "the links that others need of it"
    made.with_row(Row(both(f"As {side}", persian)))
    made.with_panel(
        number(
            f"Index as {side}",
            f"شاخص {persian}",
            f"Of 100 inquiries on {what}, how many are answered automatically, correctly and on time.",
            query(
                f"max by (id) (peyvand_index{{{of}}}) * on (id) group_left (name_en, name_fa) {agency_names('id')}",
                both("{{name_en}}", "{{name_fa}}"),
            ),
            unit="percentunit",
            decimals=1,
            width=6,
            height=7,
            by_name=True,
            sparkline=True,
            empty="not publishable",
        )
    )
    made.with_panel(
        number(
            f"Bounds as {side}",
            f"کمترین و بیشترین، {persian}",
            "The index if everything unknown had failed, and if it had all been OK; and the share that is known.",
            query(f"max(peyvand_index_lower{{{of}}})", both("lower", "کمترین")),
            query(f"max(peyvand_index_upper{{{of}}})", both("upper", "بیشترین")),
            query(f"max(peyvand_index_known_share{{{of}}})", both("known", "معلوم")),
            unit="percentunit",
            decimals=1,
            width=4,
            height=7,
        )
    )
    made.with_panel(
        lines(
            f"Loss as {side}",
            f"از دست رفتهٔ {persian}",
            f"Where {what} get stuck: what the index lacks, split by stage. Links on paper never connect.",
            query(f"max by (stage) (peyvand_index_loss{{{of}}})", "{{stage}}"),
            unit="percentunit",
            width=8,
            height=7,
            thresholds=LOST,
            stacked=True,
            series={stage: STAGE_SERIES[stage] for stage in LOSS_STAGES},
        )
    )
    made.with_panel(
        bars(
            f"Reasons now, as {side}",
            f"علت‌ها اکنون، {persian}",
            "Live links that were not OK in the last settled slot, by why. Reasons are explained in docs/probing.md.",
            query(
                f'sort_desc(count by (reason) (max by (link, reason) (peyvand_link_reason{{{side}="$agency"}})))',
                "{{reason}}",
                instant=True,
            ),
            unit="short",
            width=6,
            height=7,
            thresholds=((None, YELLOW), (3, ORANGE), (10, RED)),
            links=[to("pipeline", both("Is the monitor well?", "آیا سنجش سالم است؟"))],
            empty="every link is OK",
        )
    )


def _services(made: Dashboard) -> None:
    made.with_row(Row(both("Services", "خدمات")))
    its_links = to("link", both("Its links", "پیوندهایش"), agency="$agency")
    of_service = both("Service", "خدمت")
    of = 'consumer="$agency"'
    failing = f"sum by (service) (max by (link, service) (peyvand_link_loss{{{of}}}))"
    made.with_panel(
        rows(
            "Services of this agency",
            "خدمات این دستگاه",
            "Level 0 to 4 (on lower bounds), index, and what of the government's index is lost on the costliest links of each "
            "service; over the policy's default window.",
            table_query(f"max by (service) (peyvand_service_level{{{of}}})"),
            table_query(f"max by (service) (peyvand_service_index{{{of}}})"),
            table_query(failing),
            by="service",
            columns=[
                ("service", of_service, ()),
                (
                    "Value #A",
                    both("Level", "سطح"),
                    [
                        *shown_as("none"),
                        DynamicConfigValue("mappings", [LEVELS]),
                        in_colour(),
                    ],
                ),
                ("Value #B", both("Index", "شاخص"), [*shown_as("percentunit", 1), in_colour()]),
                ("Value #C", both("Loss", "از دست رفته"), shown_as("percentunit", 2)),
            ],
            unit="percentunit",
            width=12,
            height=9,
            sort=both("Level", "سطح"),
            links={of_service: its_links},
        )
    )
    made.with_panel(
        lines(
            "Its links by stage",
            "پیوندهایش به تفکیک مرحله",
            "Links its services need, by the verdict of each settled slot. Unknown is what nobody measured; those not "
            "live are required by law and not built yet.",
            query('max by (verdict) (peyvand_links_now{kind="consumer",id="$agency"})', "{{verdict}}"),
            unit="short",
            width=12,
            height=9,
            stacked=True,
            steps_only=True,
            links=[its_links],
            series={
                **STAGE_SERIES,
                "unknown": [named(both("Unknown", "نامعلوم")), coloured(GREY)],
                "not_live": [named(both("Not live", "هنوز الکترونیکی نشده")), coloured(BROWN)],
            },
        )
    )


def _links(made: Dashboard) -> None:
    made.with_row(Row(both("Costliest links", "پرهزینه‌ترین پیوندها")))
    for side, persian in _SIDES.items():
        made.with_panel(_costliest(side, persian))


def _costliest(side: str, persian: str) -> Panel:
    other = "provider" if side == "consumer" else "consumer"
    of_link, of_other = both("Link", "پیوند"), both(other.capitalize(), _SIDES[other])
    chosen = f'topk({_MANY}, max by (link, consumer, provider) (peyvand_link_gain{{{side}="$agency"}}))'
    gain = both("Gain", "افزایش")
    return rows(
        f"Costliest as {side}",
        f"پرهزینه‌ترین‌ها، {persian}",
        "What the government's index over the default window would gain if each link alone were always OK, the most first, and "
        "the stage of its last settled slot.",
        table_query(chosen),
        table_query(f"max by (link) (peyvand_link_stage) and on (link) {chosen}"),
        by="link",
        columns=[
            ("link", of_link, ()),
            (other, of_other, ()),
            (
                "Value #B",
                both("Now", "اکنون"),
                [
                    *shown_as("none"),
                    DynamicConfigValue("mappings", [STAGES]),
                    in_colour(),
                ],
            ),
            ("Value #A", gain, shown_as("percentunit", 2)),
        ],
        unit="percentunit",
        thresholds=((None, YELLOW), (0.005, ORANGE), (0.01, RED)),
        width=12,
        height=9,
        sort=gain,
        descending=True,
        links={
            of_link: to(
                "link",
                both("This link", "این پیوند"),
                agency="$agency" if side == "consumer" else "${__data.fields.consumer}",
                link="${__data.fields.link}",
            ),
            of_other: to("agency", both("This agency", "این دستگاه"), agency=f"${{__data.fields.{other}}}"),
        },
        empty="no link loses anything",
    )
