"""Makes the kinds of panels, each with title, description, unit and thresholds: none can be made without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import barchart, bargauge, common, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue, ValueMapping

from deploy.dashboards.board import DATASOURCE, both
from deploy.dashboards.style import PLAIN, SHARE, Steps, from_thresholds, named, palette, steps

__all__ = ["bars", "described", "joined", "lines", "number", "stacked_bars", "timeline"]

P = TypeVar("P", barchart.Panel, bargauge.Panel, stat.Panel, statetimeline.Panel, table.Panel, timeseries.Panel)


def described(
    made: P,
    title: str,
    persian: str,
    description: str,
    queries: Sequence[Dataquery],
    unit: str,
    width: int,
    height: int,
    thresholds: Steps,
    series: Mapping[str, Sequence[DynamicConfigValue]] | None = None,
    empty: str = "",
) -> P:
    """Return a panel with what every kind has; ``series`` are properties by a series' name."""
    made = (
        made.title(both(title, persian))
        .description(description)
        .datasource(DATASOURCE)
        .targets(list(queries))
        .unit(unit)
        .span(width)
        .height(height)
        .thresholds(steps(thresholds))
    )
    for name, properties in (series or {}).items():
        made.override_by_name(name, list(properties))
    return made.no_value(empty) if empty else made


def number(
    title: str,
    persian: str,
    description: str,
    *queries: Dataquery,
    unit: str,
    width: int,
    height: int = 5,
    thresholds: Steps = SHARE,
    decimals: int | None = None,
    mappings: Sequence[ValueMapping] = (),
    links: Sequence[DashboardLink] = (),
    sparkline: bool = False,
    by_name: bool = False,
    series: Mapping[str, Sequence[DynamicConfigValue]] | None = None,
    empty: str = "",
) -> stat.Panel:
    """Return large numbers, named where there are several; ``series`` are properties by a number's name."""
    named_values = len(queries) > 1 or by_name
    mode = kinds.BigValueTextMode.VALUE_AND_NAME if named_values else kinds.BigValueTextMode.VALUE
    made = (
        described(stat.Panel(), title, persian, description, queries, unit, width, height, thresholds, series, empty)
        .color_scheme(from_thresholds())
        .mappings(list(mappings))
        .data_links(list(links))
        .color_mode(kinds.BigValueColorMode.VALUE)
        .graph_mode(kinds.BigValueGraphMode.AREA if sparkline else kinds.BigValueGraphMode.NONE)
        .text_mode(mode)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    return made if decimals is None else made.decimals(decimals)


def lines(
    title: str,
    persian: str,
    description: str,
    *queries: Dataquery,
    unit: str,
    width: int,
    height: int = 8,
    thresholds: Steps = PLAIN,
    stacked: bool = False,
    steps_only: bool = False,
    lowest: float | None = 0,
    highest: float | None = None,
    links: Sequence[DashboardLink] = (),
    series: Mapping[str, Sequence[DynamicConfigValue]] | None = None,
    empty: str = "",
) -> timeseries.Panel:
    """Return lines over time, stacked as areas if asked; ``series`` are properties by a series' name."""
    made = (
        described(
            timeseries.Panel(), title, persian, description, queries, unit, width, height, thresholds, series, empty
        )
        .color_scheme(palette())
        .data_links(list(links))
        .line_width(2)
        .fill_opacity(60 if stacked else 0)
        .show_points(kinds.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    )
    if len(thresholds) > 1:
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED))
    if stacked:
        made.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A")).line_width(1)
    if steps_only:
        made.line_interpolation(kinds.LineInterpolation.STEP_AFTER)
    if lowest is not None:
        made.min(lowest)
    if highest is not None:
        made.max(highest)
    return made


def bars(
    title: str,
    persian: str,
    description: str,
    *queries: Dataquery,
    unit: str,
    width: int,
    height: int = 8,
    thresholds: Steps = SHARE,
    highest: float | None = None,
    decimals: int | None = None,
    links: Sequence[DashboardLink] = (),
    series: Mapping[str, Sequence[DynamicConfigValue]] | None = None,
    empty: str = "",
) -> bargauge.Panel:
    """Return one bar per series, of its newest value."""
    made = (
        described(
            bargauge.Panel(), title, persian, description, queries, unit, width, height, thresholds, series, empty
        )
        .color_scheme(from_thresholds())
        .min(0)
        .data_links(list(links))
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .display_mode(kinds.BarGaugeDisplayMode.BASIC)
        .name_placement(kinds.BarGaugeNamePlacement.LEFT)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    if highest is not None:
        made.max(highest)
    if decimals is not None:
        made.decimals(decimals)
    return made


def stacked_bars(
    title: str,
    persian: str,
    description: str,
    *queries: Dataquery,
    along: str,
    unit: str,
    width: int,
    height: int,
    highest: float,
    columns: Sequence[tuple[str, Sequence[DynamicConfigValue]]],
) -> barchart.Panel:
    """Return bars on top of each other: a column per value of label ``along``, a piece per query.

    ``columns`` are the names and the properties of each query's pieces, in order.
    """
    made = (
        described(barchart.Panel(), title, persian, description, queries, unit, width, height, PLAIN)
        .color_scheme(palette())
        .transformations([*joined(along, [along, "Value.*"]), _sorted(along)])
        .x_field(along)
        .stacking(kinds.StackingMode.NORMAL)
        .show_value(kinds.VisibilityMode.NEVER)
        .fill_opacity(90)
        .line_width(0)
        .min(0)
        .max(highest)
        .legend(
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.HIDDEN)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(False)
        )
    )
    for number_of, (name, properties) in enumerate(columns):
        made.override_by_name(f"Value #{chr(ord('A') + number_of)}", [named(name), *properties])
    return made


def timeline(
    title: str,
    persian: str,
    description: str,
    *queries: Dataquery,
    width: int,
    height: int,
    mappings: Sequence[ValueMapping],
    thresholds: Steps,
    links: Sequence[DashboardLink] = (),
    empty: str = "",
) -> statetimeline.Panel:
    """Return states over time, a row per series; ``mappings`` are their words."""
    return (
        described(
            statetimeline.Panel(), title, persian, description, queries, "none", width, height, thresholds, empty=empty
        )
        .color_scheme(from_thresholds())
        .mappings(list(mappings))
        .data_links(list(links))
        .merge_values(True)
        .show_value(kinds.VisibilityMode.AUTO)
        .row_height(0.8)
        .fill_opacity(85)
        .line_width(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )


def joined(by: str, kept: Sequence[str]) -> list[DataTransformerConfig]:
    """Keep some fields, without times and labels that nobody looks at, then join the queries' answers by a label."""
    return [
        DataTransformerConfig(
            "filterFieldsByName", options={"include": {"pattern": f"^({'|'.join({by: None, **dict.fromkeys(kept)})})$"}}
        ),
        DataTransformerConfig("joinByField", options={"byField": by, "mode": "outer"}),
    ]


def _sorted(by: str) -> DataTransformerConfig:
    """Sort the rows, since joining by text leaves them in the order in which the queries named them."""
    return DataTransformerConfig("sortBy", options={"sort": [{"field": by}]})
