"""A register as sorted arrays, for the formulas to sum over."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from services.core.model import IndicatorKind, Register, Target
from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.requirements import RequiredDays


@dataclass(frozen=True, slots=True, eq=False)
class RegisterArrays:
    """A register as numpy arrays: n links, s services, a agencies, each in id order.

    Index arrays over links: ``service``, ``provider``, ``consumer`` (both into ``agencies``), ``sector`` (by consumer).
    Over agencies: ``agency_sector``. Over services: ``service_consumer``, ``service_sector``. Weights are v_s
    (``service_weight``) and w (``weight``); ``slo`` (n,) is strictly between 0 and 1.
    ``required`` are the days on which links are in force and live.
    ``targets`` are the links, then the endpoints; ``restrictions`` maps positions in it to the vantages that count for
    that target, where not all do. ``bus`` is the position of the data bus's own endpoint among the endpoints.
    """

    government: str
    register_version: str
    probe_version: str
    publish_threshold: float
    windows_days: tuple[int, ...]
    levels: tuple[float, float]

    agencies: tuple[str, ...]
    sectors: tuple[str, ...]
    services: tuple[str, ...]
    links: tuple[str, ...]
    endpoints: tuple[str, ...]
    targets: tuple[Target, ...]
    restrictions: dict[int, frozenset[str]]
    bus: int | None

    service: Ints
    provider: Ints
    consumer: Ints
    sector: Ints
    weight: Floats
    slo: Floats
    absent: Bools
    required: RequiredDays

    agency_sector: Ints
    service_consumer: Ints
    service_sector: Ints
    service_weight: Floats

    @classmethod
    def of(cls, register: Register) -> RegisterArrays:
        """Build the arrays of a register that services.register has checked."""
        agencies, services = sorted(register.agencies), sorted(register.services)
        links, endpoints = sorted(register.links), sorted(register.endpoints)
        sectors = sorted({agency.sector for agency in register.agencies.values()})
        at_agency, at_service, at_sector = _positions(agencies), _positions(services), _positions(sectors)
        rows = [register.links[link] for link in links]
        wanted = [*(row.vantages for row in rows), *(register.endpoints[endpoint].vantages for endpoint in endpoints)]

        agency_sector = _indices([at_sector[register.agencies[agency].sector] for agency in agencies])
        service_consumer = _indices([at_agency[register.services[service].agency] for service in services])
        service = _indices([at_service[row.service] for row in rows])
        consumer = service_consumer[service]
        return cls(
            government=register.policy.government.id,
            register_version=register.register_version,
            probe_version=register.probe_version,
            publish_threshold=register.policy.publish_threshold,
            windows_days=tuple(register.policy.windows_days),
            levels=register.policy.levels,
            agencies=tuple(agencies),
            sectors=tuple(sectors),
            services=tuple(services),
            links=tuple(links),
            endpoints=tuple(endpoints),
            targets=register.targets,
            restrictions={position: frozenset(vantages) for position, vantages in enumerate(wanted) if vantages},
            bus=None if register.policy.bus is None else endpoints.index(register.policy.bus),
            service=service,
            provider=_indices([at_agency[row.provider] for row in rows]),
            consumer=consumer,
            sector=agency_sector[consumer],
            weight=np.array([row.weight for row in rows], dtype=np.float64),
            slo=np.array([row.slo for row in rows], dtype=np.float64),
            absent=np.array([row.absent for row in rows], dtype=np.bool_),
            required=RequiredDays.of(rows),
            agency_sector=agency_sector,
            service_consumer=service_consumer,
            service_sector=agency_sector[service_consumer],
            service_weight=np.array([register.services[service].weight for service in services], dtype=np.float64),
        )

    def sets_of(self, kind: IndicatorKind) -> tuple[tuple[str, ...], Ints]:
        """Return the sets of a kind, and the set of each link (n,). Raises ValueError for endpoints."""
        match kind:
            case IndicatorKind.GOVERNMENT:
                return (self.government,), np.zeros(len(self.links), dtype=np.int64)
            case IndicatorKind.SECTOR:
                return self.sectors, self.sector
            case IndicatorKind.CONSUMER:
                return self.agencies, self.consumer
            case IndicatorKind.PROVIDER:
                return self.agencies, self.provider
            case IndicatorKind.SERVICE:
                return self.services, self.service
            case IndicatorKind.LINK:
                return self.links, np.arange(len(self.links))
            case IndicatorKind.ENDPOINT:
                raise ValueError("an endpoint is not part of the index: it has no links to group")

    def largest_agencies(self) -> Ints:
        """Return the positions of all agencies, by falling number of links as consumer or provider, then by id."""
        links = np.bincount(np.concatenate([self.consumer, self.provider]), minlength=len(self.agencies))
        return np.argsort(-links, kind="stable")

    def judging_digest(self) -> bytes:
        """Return a digest of everything that verdicts depend on: registers with the same digest have the same counts.

        It does not cover weights, thresholds and windows.
        """
        digest = sha256()
        for ids in (self.agencies, self.services, self.links, self.endpoints):
            digest.update("\n".join([*ids, ""]).encode())
        required = self.required
        for array in (self.service, self.provider, required.start, required.stop, required.live_from):
            digest.update(array.tobytes())
        for target, vantages in sorted(self.restrictions.items()):
            digest.update(f"{target} {sorted(vantages)}\n".encode())
        digest.update(f"{self.bus}".encode())
        return digest.digest()


def position_of(ids: Sequence[str], name: str) -> int | None:
    """Return the position of an id among sorted ``ids``, or None if it is not among them."""
    position = bisect_left(ids, name)
    return position if position < len(ids) and ids[position] == name else None


def _positions(ids: Sequence[str]) -> dict[str, int]:
    return {name: position for position, name in enumerate(ids)}


def _indices(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int64)
