"""Makes tables of what several queries say of the same things, one row each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue

from deploy.dashboards.panels import described, joined
from deploy.dashboards.style import SHARE, Steps, from_thresholds

__all__ = ["Column", "rows"]

Column = tuple[str, str, Sequence[DynamicConfigValue]]
"""A column as the query names it, its title, and its properties."""


def rows(
    title: str,
    persian: str,
    description: str,
    *queries: Dataquery,
    by: str,
    columns: Sequence[Column],
    unit: str,
    width: int,
    height: int = 9,
    thresholds: Steps = SHARE,
    sort: str,
    descending: bool = False,
    links: Mapping[str, DashboardLink] | None = None,
    empty: str = "",
) -> table.Panel:
    """Return a table of what several queries say of the same things, joined by label ``by``.

    ``columns`` are shown in this order; ``links`` lead on from a column, by its title.
    """
    titles = {name: title_of for name, title_of, _ in columns}
    made = (
        described(table.Panel(), title, persian, description, queries, unit, width, height, thresholds, empty=empty)
        .color_scheme(from_thresholds())
        .transformations([*joined(by, list(titles)), _arranged(titles)])
        .sort_by([common.TableSortByFieldState().display_name(sort).desc(descending)])
    )
    for _, title_of, properties in columns:
        linked = [DynamicConfigValue("links", [links[title_of].build()])] if links and title_of in links else []
        made.override_by_name(title_of, [*properties, *linked])
    return made


def _arranged(titles: Mapping[str, str]) -> DataTransformerConfig:
    order = {name: at for at, name in enumerate(titles)}
    return DataTransformerConfig("organize", options={"indexByName": order, "renameByName": dict(titles)})
