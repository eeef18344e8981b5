"""Lists the services, links and endpoints of each agency as consumer, as positions in the register's arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.model import IndicatorKind, Register
from services.indicator.register_arrays import RegisterArrays


@dataclass(frozen=True, slots=True)
class AgencyMembers:
    """One agency's links and endpoints, in id order.

    ``rows`` are positions among the ids of a kind in the arrays: those of the agency itself as consumer, and of its
    services, links and endpoints. ``target_rows`` are positions in ``RegisterArrays.targets``.
    """

    links: tuple[str, ...]
    endpoints: tuple[str, ...]
    rows: Mapping[IndicatorKind, NDArray[np.int64]]
    target_rows: NDArray[np.int64]


def agency_members(register: Register, arrays: RegisterArrays) -> Mapping[str, AgencyMembers]:
    """Return the members of every agency that owns a service or an endpoint, by agency in id order."""
    agencies = len(arrays.agencies)
    positions = {agency: row for row, agency in enumerate(arrays.agencies)}
    owner = np.array([positions[register.endpoints[name].agency] for name in arrays.endpoints], dtype=np.int64)
    services, links, endpoints = (
        _by_owner(owners, agencies) for owners in (arrays.service_consumer, arrays.consumer, owner)
    )
    link_ids, endpoint_ids = (np.array(ids, dtype=np.object_) for ids in (arrays.links, arrays.endpoints))
    members = {}
    for row, agency in enumerate(arrays.agencies):
        if len(services[row]) or len(endpoints[row]):
            members[agency] = AgencyMembers(
                links=tuple(link_ids[links[row]].tolist()),
                endpoints=tuple(endpoint_ids[endpoints[row]].tolist()),
                rows={
                    IndicatorKind.CONSUMER: np.array([row], dtype=np.int64),
                    IndicatorKind.SERVICE: services[row],
                    IndicatorKind.LINK: links[row],
                    IndicatorKind.ENDPOINT: endpoints[row],
                },
                target_rows=np.concatenate([links[row], len(arrays.links) + endpoints[row]]),
            )
    return members


def having(members: Mapping[str, AgencyMembers], targets: NDArray[np.bool_]) -> dict[str, AgencyMembers]:
    """Return the agencies that have any of ``targets``, a mask over ``RegisterArrays.targets``."""
    return {agency: own for agency, own in members.items() if targets[own.target_rows].any()}


def _by_owner(owner: NDArray[np.int64], owners: int) -> list[NDArray[np.int64]]:
    """Return the positions of each owner, ascending, from the owner of each position."""
    order = np.argsort(owner, kind="stable")
    return np.split(order, np.cumsum(np.bincount(owner, minlength=owners))[:-1])
