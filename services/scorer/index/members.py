"""Lists the services, links and endpoints of agencies as consumers, as positions in the register's arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from services.core.bus import AGENCY_GROUPS, group_of
from services.core.model import IndicatorKind, Register
from services.indicator.register_arrays import RegisterArrays


@dataclass(frozen=True, slots=True)
class AgencyMembers:
    """One agency's links, in id order.

    ``rows`` are positions among the ids of a kind in the arrays: those of the agency itself as consumer, and of its
    services, links and endpoints. ``target_rows`` are positions in ``RegisterArrays.targets``.
    """

    links: tuple[str, ...]
    rows: Mapping[IndicatorKind, NDArray[np.int64]]
    target_rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EvidenceGroup:
    """The links, then the endpoints, of a group of agencies, each in id order.

    ``target_rows`` are positions in ``RegisterArrays.targets``, which has the links first.
    """

    links: tuple[str, ...]
    endpoints: tuple[str, ...]
    target_rows: NDArray[np.int64]


Members = TypeVar("Members", AgencyMembers, EvidenceGroup)
Key = TypeVar("Key", str, int)


def agency_members(register: Register, arrays: RegisterArrays) -> Mapping[str, AgencyMembers]:
    """Return the members of every agency that owns a service or an endpoint, by agency in id order."""
    agencies = len(arrays.agencies)
    services, links, endpoints = (
        _by_owner(owners, agencies)
        for owners in (arrays.service_consumer, arrays.consumer, _endpoint_owners(register, arrays))
    )
    link_ids = np.array(arrays.links, dtype=np.object_)
    members = {}
    for row, agency in enumerate(arrays.agencies):
        if len(services[row]) or len(endpoints[row]):
            members[agency] = AgencyMembers(
                links=tuple(link_ids[links[row]].tolist()),
                rows={
                    IndicatorKind.CONSUMER: np.array([row], dtype=np.int64),
                    IndicatorKind.SERVICE: services[row],
                    IndicatorKind.LINK: links[row],
                    IndicatorKind.ENDPOINT: endpoints[row],
                },
                target_rows=np.concatenate([links[row], len(arrays.links) + endpoints[row]]),
            )
    return members


def evidence_groups(register: Register, arrays: RegisterArrays) -> dict[int, EvidenceGroup]:
    """Return the groups of agencies that have a link or an endpoint."""
    group = np.array([group_of(agency) for agency in arrays.agencies], dtype=np.int64)
    links, endpoints = (
        _by_owner(group[owners], AGENCY_GROUPS) for owners in (arrays.consumer, _endpoint_owners(register, arrays))
    )
    link_ids, endpoint_ids = (np.array(ids, dtype=np.object_) for ids in (arrays.links, arrays.endpoints))
    return {
        number: EvidenceGroup(
            links=tuple(link_ids[own_links].tolist()),
            endpoints=tuple(endpoint_ids[own_endpoints].tolist()),
            target_rows=np.concatenate([own_links, len(arrays.links) + own_endpoints]),
        )
        for number, (own_links, own_endpoints) in enumerate(zip(links, endpoints, strict=True))
        if len(own_links) or len(own_endpoints)
    }


def having(members: Mapping[Key, Members], targets: NDArray[np.bool_]) -> dict[Key, Members]:
    """Return the agencies, or groups, that have any of ``targets``, a mask over ``RegisterArrays.targets``."""
    return {key: own for key, own in members.items() if targets[own.target_rows].any()}


def _endpoint_owners(register: Register, arrays: RegisterArrays) -> NDArray[np.int64]:
    """Return the position of each endpoint's agency."""
    positions = {agency: row for row, agency in enumerate(arrays.agencies)}
    return np.array([positions[register.endpoints[name].agency] for name in arrays.endpoints], dtype=np.int64)


def _by_owner(owner: NDArray[np.int64], owners: int) -> list[NDArray[np.int64]]:
    """Return the positions of each owner, ascending, from the owner of each position."""
    order = np.argsort(owner, kind="stable")
    return np.split(order, np.cumsum(np.bincount(owner, minlength=owners))[:-1])
