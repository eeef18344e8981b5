"""A register as a network of agencies: pairs, sectors, and the providers that each service needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.core.model import Probe, Register
from services.indicator.array_types import Bools, Ints
from services.indicator.register_arrays import RegisterArrays

_BUS_KINDS = ("xroad-rest", "xroad-soap")


@dataclass(frozen=True, slots=True, eq=False)
class AgencyNetwork:
    """Index arrays of a register's n links, of their m pairs of agencies and of k needs. Built once per register.

    ``pair`` (n,) is a link's pair; ``consumer`` and ``provider`` (m,) are those of each pair, sorted, and ``reverse`` (m,)
    is the opposite pair, -1 where there is none. ``within`` (n,): both agencies are in one sector. ``bus`` (n,): the link
    goes over the data bus. ``need`` (n,) is a link's need: service ``needy`` (k,) needs provider ``needed`` (k,).
    """

    pair: Ints
    consumer: Ints
    provider: Ints
    reverse: Ints
    within: Bools
    bus: Bools
    need: Ints
    needy: Ints
    needed: Ints

    @classmethod
    def of(cls, register: Register, arrays: RegisterArrays) -> AgencyNetwork:
        """Build the network of a register, given its ``arrays``.

        A link goes over the bus when its probe is an X-Road probe, or exchange.csv maps exchanges to it.
        """
        routed = {route.link for route in register.routes}
        bus_probes = {probe.name for probe in register.probes.values() if _uses_bus(probe)}
        links = [register.links[link] for link in arrays.links]
        sectors = {sector: position for position, sector in enumerate(arrays.sectors)}
        sector_of = [sectors[register.agencies[agency].sector] for agency in arrays.agencies]
        pair, consumer, provider = _combinations(arrays.consumer, arrays.provider, len(arrays.agencies))
        need, needy, needed = _combinations(arrays.service, arrays.provider, len(arrays.agencies))
        return cls(
            pair=pair,
            consumer=consumer,
            provider=provider,
            reverse=_reverse(consumer, provider, len(arrays.agencies)),
            within=np.array(sector_of, dtype=np.int64)[arrays.provider] == arrays.sector,
            bus=np.array([link.id in routed or link.probe in bus_probes for link in links], dtype=np.bool_),
            need=need,
            needy=needy,
            needed=needed,
        )


def _uses_bus(probe: Probe) -> bool:
    return probe.kind in _BUS_KINDS or any(_uses_bus(step.probe) for step in probe.steps)


def _combinations(left: Ints, right: Ints, rights: int) -> tuple[Ints, Ints, Ints]:
    """Return each row's combination, and the two parts of every combination, sorted; ``right`` is below ``rights``."""
    codes, row = np.unique(left * max(rights, 1) + right, return_inverse=True)
    return row.astype(np.int64), codes // max(rights, 1), codes % max(rights, 1)


def _reverse(consumer: Ints, provider: Ints, agencies: int) -> Ints:
    """Return the position of each pair's opposite among the pairs, which are sorted; -1 where there is none."""
    pairs, opposites = consumer * agencies + provider, provider * agencies + consumer
    positions = np.minimum(np.searchsorted(pairs, opposites), len(pairs) - 1)
    return np.where(pairs[positions] == opposites, positions, -1)
