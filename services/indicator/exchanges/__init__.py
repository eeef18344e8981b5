"""Exchanges compared with probes: agreement, silence, volume, traffic (docs/exchange.md §4)."""

from services.indicator.exchanges.agreement import AGREEMENT_DAYS, HourlyCounts
from services.indicator.exchanges.reconciliation import (
    DailyFlows,
    WindowSpan,
    find_silent_links,
    flows_per_link,
    links_with_flows,
    reconcile_links,
    traffic_by_window,
)
from services.indicator.exchanges.silence import CHANCE, SILENCE_DAYS
from services.indicator.exchanges.traffic import FlowsByLink, assign_flows
from services.indicator.exchanges.volume import VOLUME_WEEKS

__all__ = [
    "AGREEMENT_DAYS",
    "CHANCE",
    "SILENCE_DAYS",
    "VOLUME_WEEKS",
    "DailyFlows",
    "FlowsByLink",
    "HourlyCounts",
    "WindowSpan",
    "assign_flows",
    "find_silent_links",
    "flows_per_link",
    "links_with_flows",
    "reconcile_links",
    "traffic_by_window",
]
