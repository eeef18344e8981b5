"""Which links, services and endpoints belong to each agency as consumer, as positions in a frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.evidence import Kind
from services.core.model import Register
from services.indicator.frame import Frame

__all__ = ["Members", "members"]


@dataclass(frozen=True, slots=True)
class Members:
    """One agency's own, in id order.

    ``rows`` are positions among a kind's ids in the frame: of the agency as consumer, its services, links and endpoints;
    ``target_rows`` are positions in ``Frame.targets``.
    """

    links: tuple[str, ...]
    endpoints: tuple[str, ...]
    rows: Mapping[Kind, NDArray[np.int64]]
    target_rows: NDArray[np.int64]


def members(register: Register, frame: Frame) -> Mapping[str, Members]:
    """Return the members of every agency that owns a service or an endpoint, by agency in id order."""
    services = _by(frame.agencies[at] for at in frame.service_consumer)
    links = _by(frame.agencies[at] for at in frame.consumer)
    endpoints = _by(register.endpoints[endpoint].agency for endpoint in frame.endpoints)
    found = {}
    for row, agency in enumerate(frame.agencies):
        own = {
            Kind.CONSUMER: [row],
            Kind.SERVICE: services.get(agency, []),
            Kind.LINK: links.get(agency, []),
            Kind.ENDPOINT: endpoints.get(agency, []),
        }
        rows = {kind: np.array(some, dtype=np.int64) for kind, some in own.items()}
        if own[Kind.SERVICE] or own[Kind.ENDPOINT]:
            found[agency] = Members(
                links=tuple(frame.links[at] for at in own[Kind.LINK]),
                endpoints=tuple(frame.endpoints[at] for at in own[Kind.ENDPOINT]),
                rows=rows,
                target_rows=np.concatenate([rows[Kind.LINK], len(frame.links) + rows[Kind.ENDPOINT]]),
            )
    return found


def _by(agencies: Iterable[str]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, agency in enumerate(agencies):
        rows[agency].append(row)
    return rows
