"""The index of every set of links, its losses, levels and explanation (docs/method.md §3-5, §7)."""

from services.indicator.index.costs import Costs
from services.indicator.index.error_budget import SPANS, Burns, burn, burning
from services.indicator.index.explain import Explanation, explain_index, gather
from services.indicator.index.index import TOLERANCE, IndicatorColumns, LinkColumns, Snapshot, indicators, strict_shares
from services.indicator.index.tabulate import Group, bands, tabulate_links
from services.indicator.index.what_if import Imputation

__all__ = [
    "SPANS",
    "TOLERANCE",
    "Burns",
    "Costs",
    "Explanation",
    "Group",
    "Imputation",
    "IndicatorColumns",
    "LinkColumns",
    "Snapshot",
    "bands",
    "burn",
    "burning",
    "explain_index",
    "gather",
    "indicators",
    "strict_shares",
    "tabulate_links",
]
