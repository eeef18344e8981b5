"""The loss of E when one node fails: a provider, or the data bus (docs/method.md §7.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.indicator.array_types import Bools, Floats
from services.indicator.register_arrays import RegisterArrays
from services.indicator.structure.network import AgencyNetwork
from services.indicator.sums import group_sums, ordered_sum, ratio


@dataclass(frozen=True, slots=True)
class NodeLoss:
    """The government's loss of E when a node fails: ΔE of ``providers`` (a,) and of the ``bus`` with its ``bus_links``.

    ``resilience`` is 1 - max ΔE/E, None when E is 0 or unknown. ``weakest`` is the position of the provider with the
    largest loss; None when the bus has a larger one, and without resilience.
    """

    providers: Floats
    bus: float
    bus_links: int
    resilience: float | None
    weakest: int | None


def node_losses(arrays: RegisterArrays, network: AgencyNetwork, in_force: Bools, strict: Floats) -> NodeLoss:
    """Compute the loss if each node failed alone.

    ``in_force`` (n,) marks links, and ``strict`` (s,) is E_s of each service, NaN where it is unset.
    A failing node sets the E_s of every service with a link of it in force to 0, whatever the link's weight, because E is
    about all links of a service. E is the v_s-weighted mean over the services that have an E_s (§4).
    """
    agencies = len(arrays.agencies)
    weight = np.where(np.isnan(strict), 0.0, arrays.service_weight)
    contribution = ratio(weight * np.nan_to_num(strict), np.full(len(weight), ordered_sum(weight)), otherwise=0.0)
    strict_index = ordered_sum(contribution)
    needs = np.bincount(network.need[in_force], minlength=len(network.needy)) > 0
    losses = group_sums(network.needed, np.where(needs, contribution[network.needy], 0.0), agencies)
    over_bus = network.bus & in_force
    on_bus = np.bincount(arrays.service[over_bus], minlength=len(contribution)) > 0
    bus = ordered_sum(np.where(on_bus, contribution, 0.0))
    weakest = int(np.argmax(losses))
    return NodeLoss(
        providers=losses,
        bus=bus,
        bus_links=int(over_bus.sum()),
        resilience=max(0.0, 1.0 - max(float(losses[weakest]), bus) / strict_index) if strict_index > 0 else None,
        weakest=weakest if strict_index > 0 and losses[weakest] >= bus else None,
    )
