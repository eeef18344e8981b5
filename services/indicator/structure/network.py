"""A register as a network of agencies: pairs, sectors, and what each service depends on. Made once per register."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.core.model import Probe, Register
from services.indicator.array_types import Bools, Ints
from services.indicator.register_arrays import RegisterArrays

__all__ = ["AgencyNetwork"]

_BUS_KINDS = ("xroad-rest", "xroad-soap")


@dataclass(frozen=True, slots=True, eq=False)
class AgencyNetwork:
    """Index arrays beside a register's n links.

    ``pair`` (n,) which of the m pairs of agencies a link belongs to; ``consumer`` and ``provider`` (m,) of each pair, in
    their order, and ``reverse`` (m,) which pair is the other way round, -1 where none is. ``within`` (n,) the two agencies share a sector. ``bus`` (n,) the link goes over the data bus.
    ``need`` (n,) which of k needs a link is part of: service ``needy`` (k,) needs provider ``needed`` (k,).
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
        """Arrange a register, whose arrays are ``arrays``.

        A link goes over the bus when an X-Road probe tries it, or exchange.csv maps exchanges to it.
        """
        routed = {route.link for route in register.routes}
        bus_probes = {probe.name for probe in register.probes.values() if _asks_the_bus(probe)}
        links = [register.links[link] for link in arrays.links]
        sectors = {sector: at for at, sector in enumerate(arrays.sectors)}
        sector_of = [sectors[register.agencies[agency].sector] for agency in arrays.agencies]
        return cls.arrange(
            arrays,
            agency_sector=np.array(sector_of, dtype=np.int64),
            bus=np.array([link.id in routed or link.probe in bus_probes for link in links], dtype=np.bool_),
        )

    @classmethod
    def arrange(cls, arrays: RegisterArrays, *, agency_sector: Ints, bus: Bools) -> AgencyNetwork:
        """Arrange a register, given each agency's sector and which links go over the bus."""
        pair, consumer, provider = _combinations(arrays.consumer, arrays.provider, len(arrays.agencies))
        need, needy, needed = _combinations(arrays.service, arrays.provider, len(arrays.agencies))
        return cls(
            pair=pair,
            consumer=consumer,
            provider=provider,
            reverse=_reverse(consumer, provider, len(arrays.agencies)),
            within=agency_sector[arrays.provider] == arrays.sector,
            bus=bus,
            need=need,
            needy=needy,
            needed=needed,
        )


def _asks_the_bus(probe: Probe) -> bool:
    return probe.kind in _BUS_KINDS or any(_asks_the_bus(step.probe) for step in probe.steps)


def _combinations(one: Ints, other: Ints, others: int) -> tuple[Ints, Ints, Ints]:
    """Return which combination each row has, and the two parts of every combination, sorted."""
    found, row = np.unique(one * max(others, 1) + other, return_inverse=True)
    return row.astype(np.int64), found // max(others, 1), found % max(others, 1)


def _reverse(consumer: Ints, provider: Ints, agencies: int) -> Ints:
    """Return where each pair's other way round is among the pairs, which are sorted; -1 where it is not."""
    pairs, wanted = consumer * agencies + provider, provider * agencies + consumer
    found = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    return np.where(pairs[found] == wanted, found, -1)
