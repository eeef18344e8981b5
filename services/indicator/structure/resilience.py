"""What is left of E when one node fails: a provider, or the data bus (docs/method.md §7, resilience N-1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.indicator.array_types import Bools, Floats
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import group_sums, ordered_sum, ratio
from services.indicator.structure.network import AgencyNetwork

__all__ = ["NodeLoss", "node_losses"]


@dataclass(frozen=True, slots=True)
class NodeLoss:
    """How far the government's E falls with each node: ``providers`` (a,) ΔE_p, and the ``bus`` with its ``bus_links``.

    ``resilience`` is 1 - max ΔE/E, None when E is 0 or unknown: nothing to lose, or nothing to tell. ``weakest`` is the
    position of the provider that most of E hangs on; None for the bus, which it is only when it takes more, or without
    resilience.
    """

    providers: Floats
    bus: float
    bus_links: int
    resilience: float | None
    weakest: int | None


def node_losses(arrays: RegisterArrays, network: AgencyNetwork, in_force: Bools, strict: Floats) -> NodeLoss:
    """Let each node fail by itself; ``in_force`` (n,) links, ``strict`` (s,) E_s of each service, NaN where unset.

    A node that fails takes the E_s of every service with a link of it in force with it, whatever the link weighs: E asks
    whether all links of a service work. E is the v_s-weighted mean over the services that have an E_s (§4).
    """
    agencies = len(arrays.agencies)
    weight = np.where(np.isnan(strict), 0.0, arrays.service_weight)
    worth = ratio(weight * np.nan_to_num(strict), np.full(len(weight), ordered_sum(weight)), otherwise=0.0)
    whole = ordered_sum(worth)
    needs = np.bincount(network.need[in_force], minlength=len(network.needy)) > 0
    fall = group_sums(network.needed, np.where(needs, worth[network.needy], 0.0), agencies)
    by_bus = network.bus & in_force
    on_bus = np.bincount(arrays.service[by_bus], minlength=len(worth)) > 0
    bus = ordered_sum(np.where(on_bus, worth, 0.0))
    weakest = int(np.argmax(fall))
    return NodeLoss(
        providers=fall,
        bus=bus,
        bus_links=int(by_bus.sum()),
        resilience=max(0.0, 1.0 - max(float(fall[weakest]), bus) / whole) if whole > 0 else None,
        weakest=weakest if whole > 0 and fall[weakest] >= bus else None,
    )
