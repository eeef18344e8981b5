"""What the api tells Prometheus of the register in force and of services and links: what finds no room on the scorer's page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.api.answers.blocks import three_bars
from services.api.answers.link_shares import gathered
from services.api.model.read_model import GOVERNMENT_BLOCK, ReadModel
from services.api.model.register_view import RegisterView
from services.core.blocks import BlockReader
from services.core.metrics import TABLE
from services.core.model import IndicatorKind
from services.indicator.index import LinkCosts

__all__ = ["AGENCY_SERIES", "COSTLIEST", "EXCHANGE_LINKS", "SERVICE_SERIES", "Standing"]

AGENCY_SERIES = 1_000
"""Agencies beyond this many, by id, have no series of their own, nor have their costliest links."""

SERVICE_SERIES = 2_500
"""Services beyond this many have no series of their own."""

COSTLIEST = 10
"""So many links of each consumer and of each provider, those that cost the government's index most, show what they cost."""

EXCHANGE_LINKS = 1_000
"""Of more links with exchanges, those with the largest volume have series."""

Rows = Iterable[tuple[tuple[str, ...], float]]
"""Label values of a series, in the table's order, and its value."""


class Standing(Collector):
    """Put together once per refresh, when first scraped, from blocks that were published together."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._lock = Lock()
        self._made_of: tuple[RegisterView | None, Mapping[str, BlockReader]] = (None, {})
        self._families: tuple[GaugeMetricFamily, ...] = tuple(_families(None, {}))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield every family, those without a series too."""
        # Scrapes come on threads of their own: the model replaces both whole, and neither is changed afterwards.
        with self._lock:
            view, blocks = self._model.current, self._model.whole
            if self._made_of[0] is not view or self._made_of[1] is not blocks:
                self._families = tuple(_families(view, blocks))
                self._made_of = view, blocks
            families = self._families
        yield from families


def _families(view: RegisterView | None, blocks: Mapping[str, BlockReader]) -> Iterator[GaugeMetricFamily]:
    for name, rows in _ROWS.items():
        yield _family(name, () if view is None else rows(view, blocks))
    costs = () if view is None else tuple(_costs(view, blocks))
    yield _family("peyvand_link_loss", ((labels, loss) for labels, loss, _ in costs))
    yield _family("peyvand_link_gain", ((labels, gain) for labels, _, gain in costs))


def _family(name: str, rows: Rows) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, TABLE[name].help, labels=TABLE[name].labels)
    for labels, value in rows:
        family.add_metric(labels, value)
    return family


def _agencies(view: RegisterView, _: Mapping[str, BlockReader]) -> Rows:
    agencies = sorted(view.register.agencies.values(), key=lambda agency: agency.id)[:AGENCY_SERIES]
    return (((one.id, one.sector, one.name_en, one.name_fa), 1.0) for one in agencies)


def _bars(view: RegisterView, blocks: Mapping[str, BlockReader]) -> Rows:
    block = blocks.get(GOVERNMENT_BLOCK)
    if block is None:
        return
    government = view.register.policy.government.id
    for structure in block.structures:
        indicator = block.find((IndicatorKind.GOVERNMENT, government, structure.window_days))
        if indicator is None:
            continue
        message = three_bars(view.register, structure, indicator)
        window = str(structure.window_days)
        yield ("declared", window), message.declared
        if message.HasField("official"):
            yield ("official", window), message.official
        if message.HasField("measured"):
            yield ("measured", window), message.measured


def _services(column: str) -> Callable[[RegisterView, Mapping[str, BlockReader]], Rows]:
    def rows(view: RegisterView, blocks: Mapping[str, BlockReader]) -> Rows:
        services, window = view.register.services, view.window(0)
        shown = set(sorted(services)[:SERVICE_SERIES])
        for block in blocks.values():
            for one, value in zip(*block.column(column, IndicatorKind.SERVICE, window), strict=True):
                if one in shown:
                    yield (one, services[one].agency), value

    return rows


def _costs(view: RegisterView, blocks: Mapping[str, BlockReader]) -> Iterator[tuple[tuple[str, ...], float, float]]:
    """Labels, loss and gain of the links that cost the government's index most, of each consumer and of each provider."""
    found, arrays = gathered(view, blocks, view.window(0)), view.arrays
    cost = LinkCosts.of(arrays, found.shares, found.imputation, IndicatorKind.GOVERNMENT, arrays.government)
    if cost is None:
        return
    order = cost.costliest()
    links = cost.members.links[cost.at[order]]
    shown = np.zeros(len(links), dtype=np.bool_)
    for agency in (arrays.consumer[links], arrays.provider[links]):
        shown |= (agency < AGENCY_SERIES) & (_before(agency) < COSTLIEST)
    order, links = order[shown], links[shown]
    losses, gains = cost.lost[cost.at[order]].tolist(), cost.gain[order].tolist()
    for name, loss, gain in zip((arrays.links[link] for link in links.tolist()), losses, gains, strict=True):
        link = view.register.links[name]
        yield (name, link.service, view.register.consumer(link), link.provider), loss, gain


def _before(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of its own group stand before each."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    before = np.empty(len(group), dtype=np.int64)
    before[order] = np.arange(len(group)) - np.searchsorted(ordered, ordered)
    return before


def _exchanges(view: RegisterView, blocks: Mapping[str, BlockReader]) -> Rows:
    links, window = view.register.links, view.window(0)
    found = [
        one
        for block in blocks.values()
        for one in block.reconciliations
        if one.window_days == window and one.exchanges and one.link in links
    ]
    for one in sorted(found, key=lambda one: (-one.exchanges, one.link))[:EXCHANGE_LINKS]:
        link = links[one.link]
        labels = (link.id, view.register.consumer(link), link.provider)
        yield (*labels, "ok"), one.ok
        yield (*labels, "failed"), one.exchanges - one.ok


_ROWS: dict[str, Callable[[RegisterView, Mapping[str, BlockReader]], Rows]] = {
    "peyvand_agency_info": _agencies,
    "peyvand_three_bars": _bars,
    "peyvand_service_index": _services("point"),
    "peyvand_service_level": _services("level"),
    "peyvand_link_exchanges": _exchanges,
}
