"""Which links, services and endpoints belong to each agency as consumer, as positions in a register."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.model import IndicatorKind, Register
from services.indicator.register_arrays import RegisterArrays

__all__ = ["AgencyMembers", "agency_members", "having"]


@dataclass(frozen=True, slots=True)
class AgencyMembers:
    """One agency's own, in id order.

    ``rows`` are positions among a kind's ids in the register: of the agency as consumer, its services, links and endpoints;
    ``target_rows`` are positions in ``RegisterArrays.targets``.
    """

    links: tuple[str, ...]
    endpoints: tuple[str, ...]
    rows: Mapping[IndicatorKind, NDArray[np.int64]]
    target_rows: NDArray[np.int64]


def agency_members(register: Register, arrays: RegisterArrays) -> Mapping[str, AgencyMembers]:
    """Return the members of every agency that owns a service or an endpoint, by agency in id order."""
    agencies = len(arrays.agencies)
    at = {agency: row for row, agency in enumerate(arrays.agencies)}
    owner = np.array([at[register.endpoints[one].agency] for one in arrays.endpoints], dtype=np.int64)
    services, links, endpoints = (_by(of, agencies) for of in (arrays.service_consumer, arrays.consumer, owner))
    link_ids, endpoint_ids = (np.array(ids, dtype=np.object_) for ids in (arrays.links, arrays.endpoints))
    found = {}
    for row, agency in enumerate(arrays.agencies):
        if len(services[row]) or len(endpoints[row]):
            found[agency] = AgencyMembers(
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
    return found


def having(own: Mapping[str, AgencyMembers], targets: NDArray[np.bool_]) -> dict[str, AgencyMembers]:
    """Return those to whom any of these targets belongs, ``targets`` by their positions in ``RegisterArrays.targets``."""
    return {agency: one for agency, one in own.items() if targets[one.target_rows].any()}


def _by(owner: NDArray[np.int64], owners: int) -> list[NDArray[np.int64]]:
    """Return what each owner has, ascending, from the owner of each."""
    order = np.argsort(owner, kind="stable")
    return np.split(order, np.cumsum(np.bincount(owner, minlength=owners))[:-1])
