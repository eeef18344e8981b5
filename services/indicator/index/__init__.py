"""The index of every set of links, its losses, levels, explanation and error budgets (docs/method.md §3-5, §7)."""

from services.indicator.index.error_budget import SPANS, BurnCounter, burn, burning_links
from services.indicator.index.explain import Explanation, explain_index, gather_shares
from services.indicator.index.index import compute_indicators, strict_shares
from services.indicator.index.link_costs import LinkCosts
from services.indicator.index.pairs import Pair, PairColumns
from services.indicator.index.published import TOLERANCE, set_indexes
from services.indicator.index.snapshot import IndicatorColumns, LinkColumns, Snapshot
from services.indicator.index.tabulate import ServiceGroup, quantile_bands, tabulate_links
from services.indicator.index.target_history import TargetHistory
from services.indicator.index.what_if import Imputation

__all__ = [
    "SPANS",
    "TOLERANCE",
    "BurnCounter",
    "Explanation",
    "Imputation",
    "IndicatorColumns",
    "LinkColumns",
    "LinkCosts",
    "Pair",
    "PairColumns",
    "ServiceGroup",
    "Snapshot",
    "TargetHistory",
    "burn",
    "burning_links",
    "compute_indicators",
    "explain_index",
    "gather_shares",
    "quantile_bands",
    "set_indexes",
    "strict_shares",
    "tabulate_links",
]
