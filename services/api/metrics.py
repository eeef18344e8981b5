"""Computes metrics of the register, services and links from the read model; the scorer's page has no room for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from services.api.answers import findings_by_agency, gather_window, three_bars
from services.api.model import ReadModel, RegisterView
from services.core.blocks import BlockReader
from services.core.bus import GOVERNMENT_KEY
from services.core.metrics import StableCollector, StableFamily
from services.core.model import IndicatorKind
from services.indicator.index import LinkCosts

AGENCY_SERIES = 1_000
"""Only this many agencies, those with the most links, have series of their own and of their costliest links."""

SERVICE_SERIES = 2_500
"""Only this many services have series of their own."""

COSTLIEST_LINKS = 10
"""This many links of each consumer and of each provider, those that cost the government's index most, have series."""

EXCHANGE_LINKS = 1_000
"""Only this many links with exchanges, those with the largest volume, have series."""

Rows = Iterable[tuple[tuple[str, ...], float]]
"""Label values of a series, in the table's order, and its value."""

Blocks = Mapping[str, BlockReader]


class ReadModelMetrics(StableCollector):
    """Families computed once per refresh, at the first scrape, from blocks that were published together."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._lock = Lock()
        self._source: tuple[RegisterView | None, Blocks] = (None, {})
        self._families: tuple[StableFamily, ...] = tuple(_families(None, {}))

    def families(self) -> tuple[StableFamily, ...]:
        """Return every family, including those without a series."""
        # Scrapes run in other threads. The model replaces both values as a whole, and neither changes afterwards.
        with self._lock:
            view, blocks = self._model.current, self._model.whole
            if self._source[0] is not view or self._source[1] is not blocks:
                self._families = tuple(_families(view, blocks))
                self._source = view, blocks
            return self._families


def _families(view: RegisterView | None, blocks: Blocks) -> Iterator[StableFamily]:
    for name, rows in _ROWS.items():
        yield StableFamily(name, {} if view is None else dict(rows(view, blocks)))
    costs = () if view is None else tuple(_costs(view, blocks))
    yield StableFamily("peyvand_link_loss", {labels: loss for labels, loss, _ in costs})
    yield StableFamily("peyvand_link_gain", {labels: gain for labels, _, gain in costs})


def _agencies(view: RegisterView, _: Blocks) -> Rows:
    agencies = (view.register.agencies[agency] for agency in _with_series(view))
    return (((agency.id, agency.sector, agency.name_en, agency.name_fa), 1.0) for agency in agencies)


def _with_series(view: RegisterView) -> list[str]:
    """Return the agencies that have series, sorted by id."""
    agencies = view.arrays.agencies
    return [agencies[agency] for agency in sorted(view.arrays.largest_agencies()[:AGENCY_SERIES].tolist())]


def _three_bars(view: RegisterView, blocks: Blocks) -> Rows:
    block = blocks.get(GOVERNMENT_KEY)
    if block is None:
        return
    government = view.register.policy.government.id
    for structure in block.structures:
        indicator = block.find((IndicatorKind.GOVERNMENT, government, structure.window_days))
        if indicator is None:
            continue
        bars, window = three_bars(view.register, structure, indicator), str(structure.window_days)
        yield ("declared", window), bars.declared
        if bars.HasField("official"):
            yield ("official", window), bars.official
        if bars.HasField("measured"):
            yield ("measured", window), bars.measured


def _services(column: str) -> Callable[[RegisterView, Blocks], Rows]:
    def rows(view: RegisterView, blocks: Blocks) -> Rows:
        services, window = view.register.services, view.window(0)
        with_series = set(sorted(services)[:SERVICE_SERIES])
        for block in blocks.values():
            for service, value in zip(*block.column(column, IndicatorKind.SERVICE, window), strict=True):
                if service in with_series:
                    yield (service, services[service].agency), value

    return rows


def _costs(view: RegisterView, blocks: Blocks) -> Iterator[tuple[tuple[str, ...], float, float]]:
    """Yield labels, loss and gain of the links that cost the government's index most, by consumer and by provider."""
    window, arrays = gather_window(view, blocks, view.window(0)), view.arrays
    costs = LinkCosts.of(window.shares, window.imputation, IndicatorKind.GOVERNMENT, arrays.government)
    if costs is None:
        return
    order = costs.costliest()
    links = costs.members.links[costs.losing[order]]
    chosen, with_series = np.zeros(len(links), dtype=np.bool_), arrays.largest_agencies()[:AGENCY_SERIES]
    for agency in (arrays.consumer[links], arrays.provider[links]):
        chosen |= np.isin(agency, with_series) & (_rank_in_group(agency) < COSTLIEST_LINKS)
    order, links = order[chosen], links[chosen]
    losses, gains = costs.lost[costs.losing[order]].tolist(), costs.gain[order].tolist()
    for name, loss, gain in zip((arrays.links[link] for link in links.tolist()), losses, gains, strict=True):
        link = view.register.links[name]
        yield (name, link.service, view.register.consumer(link), link.provider), loss, gain


def _rank_in_group(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each element how many of its group come before it."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - np.searchsorted(ordered, ordered)
    return rank


def _exchanges(view: RegisterView, blocks: Blocks) -> Rows:
    links, window = view.register.links, view.window(0)
    used = [
        reconciliation
        for block in blocks.values()
        for reconciliation in block.reconciliations
        if reconciliation.window_days == window and reconciliation.exchanges and reconciliation.link in links
    ]
    for reconciliation in sorted(used, key=lambda row: (-row.exchanges, row.link))[:EXCHANGE_LINKS]:
        link = links[reconciliation.link]
        labels = (link.id, view.register.consumer(link), link.provider)
        yield (*labels, "ok"), reconciliation.ok
        yield (*labels, "failed"), reconciliation.exchanges - reconciliation.ok


def _findings(view: RegisterView, blocks: Blocks) -> Rows:
    block = blocks.get(GOVERNMENT_KEY)
    if block is None:
        return ()
    counts = findings_by_agency(view, block)
    return (((agency,), counts[agency]) for agency in _with_series(view))


_ROWS: dict[str, Callable[[RegisterView, Blocks], Rows]] = {
    "peyvand_agency_info": _agencies,
    "peyvand_three_bars": _three_bars,
    "peyvand_service_index": _services("point"),
    "peyvand_service_level": _services("level"),
    "peyvand_link_exchanges": _exchanges,
    "peyvand_agency_findings": _findings,
}
