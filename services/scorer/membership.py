"""Which links, services and endpoints belong to each agency as consumer, as positions in a frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.model import Register
from services.indicator.frame import Frame

__all__ = ["Members", "members"]


@dataclass(frozen=True, slots=True)
class Members:
    """One agency's own, in id order; ``link_rows`` are positions in ``Frame.links``, ``target_rows`` in ``Frame.targets``."""

    services: tuple[str, ...]
    links: tuple[str, ...]
    endpoints: tuple[str, ...]
    link_rows: NDArray[np.int64]
    target_rows: NDArray[np.int64]


def members(register: Register, frame: Frame) -> Mapping[str, Members]:
    """Return the members of every agency that owns a service or an endpoint, by agency in id order."""
    services = _by(frame.agencies[at] for at in frame.service_consumer)
    links = _by(frame.agencies[at] for at in frame.consumer)
    endpoints = _by(register.endpoints[endpoint].agency for endpoint in frame.endpoints)
    found = {}
    for agency in frame.agencies:
        of_services, of_links, of_endpoints = (rows.get(agency, []) for rows in (services, links, endpoints))
        if of_services or of_endpoints:
            found[agency] = Members(
                services=tuple(frame.services[row] for row in of_services),
                links=tuple(frame.links[row] for row in of_links),
                endpoints=tuple(frame.endpoints[row] for row in of_endpoints),
                link_rows=np.array(of_links, dtype=np.int64),
                target_rows=np.array([*of_links, *(len(frame.links) + row for row in of_endpoints)], dtype=np.int64),
            )
    return found


def _by(agencies: Iterable[str]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, agency in enumerate(agencies):
        rows[agency].append(row)
    return rows
