"""Provides what every dashboard shares: its frame, its chain of variables, queries, and links to the others."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

__all__ = [
    "AGENCY",
    "DATASOURCE",
    "LINK",
    "SECTOR",
    "WINDOW",
    "agency_names",
    "both",
    "frame",
    "query",
    "table_query",
    "to",
    "to_page",
    "variable",
]

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


def both(english: str, persian: str) -> str:
    """Return a title in both languages."""
    return f"{english} · {persian}"


def query(expression: str, legend: str = "", *, instant: bool = False) -> Dataquery:
    """Return a query over the shown time range, or of the present alone."""
    made = Dataquery().datasource(DATASOURCE).expr(expression).legend_format(legend or "__auto")
    return made.instant() if instant else made.range()


def table_query(expression: str) -> Dataquery:
    """Return a query of the present, as rows of a table: a column per label, and the value."""
    return Dataquery().datasource(DATASOURCE).expr(expression).format(PromQueryFormat.TABLE).instant()


def variable(
    name: str, label: str, labels: str, *, many: bool = False, every: str = ".+", first: str = ""
) -> QueryVariable:
    """Return a variable that offers the values of ``labels``, read again whenever the time range changes.

    With ``many`` several values may be chosen, or all of them, which is the default; ``every`` matches all. Otherwise
    the default is ``first`` or, without it, the first value.
    """
    made = (
        QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": labels, "refId": f"variable-{name}"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NUMERICAL_ASC if name == "window" else VariableSort.ALPHABETICAL_ASC)
    )
    if many:
        return made.multi(True).include_all(True).all_value(every).current(VariableOption(text="All", value="$__all"))
    return made.current(VariableOption(text=first, value=first)) if first else made


_CONSOLE = ("console", both("Console", "صفحه‌ها"), "label_values(peyvand_console_info, url)")
# Every window has bounds; it has no point where too little is known.
WINDOW = ("window", both("Window, days", "پنجره، روز"), "label_values(peyvand_index_lower, window)")
SECTOR = ("sector", both("Sector", "بخش"), "label_values(peyvand_agency_info, sector)")
AGENCY = ("agency", both("Agency", "دستگاه"), 'label_values(peyvand_agency_info{sector=~"$sector"}, agency)')
LINK = ("link", both("Link", "پیوند"), 'label_values(peyvand_link_stage{consumer="$agency"}, link)')


def agency_names(label: str) -> str:
    """Return an expression of the agencies with their names, under another label, for group_left."""
    return f'label_replace(max by (agency, name_en, name_fa) (peyvand_agency_info), "{label}", "$1", "agency", "(.+)")'


def to(dashboard: str, title: str, **variables: str) -> DashboardLink:
    """Return a data link to another dashboard that keeps data source and time range, and sets variables."""
    kept = "${datasource:queryparam}&${__url_time_range}"
    chosen = "".join(f"&var-{name}={value}" for name, value in variables.items())
    return (
        DashboardLink(title)
        .type(DashboardLinkType.LINK)
        .url(f"/d/peyvand-{dashboard}?{kept}{chosen}")
        .target_blank(False)
    )


def to_page(page: str, title: str) -> DashboardLink:
    """Return a link to a page of the console, in English, since its switch of language keeps the page."""
    return DashboardLink(title).type(DashboardLinkType.LINK).url(f"${{console}}/en{page}")


def frame(name: str, title: str, description: str, variables: Sequence[QueryVariable], *, page: str = "/") -> Dashboard:
    """Return an empty dashboard with its variables, linked to its siblings and to the console's ``page``."""
    siblings = (
        DashboardLink(both("Peyvand", "پیوند"))
        .type(DashboardLinkType.DASHBOARDS)
        .tags(["peyvand"])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
        .icon("external link")
        .tooltip("The other dashboards of Peyvand, with the same choice")
    )
    console = (
        to_page(page, both("For everybody", "برای همه"))
        .icon("external link")
        .tooltip("The console's page about the same, in English and Persian")
    )
    made = (
        Dashboard(title)
        .uid(f"peyvand-{name}")
        .description(description)
        .tags(["peyvand"])
        .readonly()
        .timezone("browser")
        .time("now-24h", "now")
        .refresh("1m")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(siblings)
        .link(console)
        .with_variable(DatasourceVariable("datasource").label(both("Data source", "منبع داده")).type("prometheus"))
        .with_variable(variable(*_CONSOLE).hide(VariableHide.HIDE_VARIABLE))
    )
    for one in variables:
        made.with_variable(one)
    return made
