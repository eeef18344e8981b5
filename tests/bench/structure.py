"""Measure what it costs to arrange and compute the structure of a made-up register with many agencies and links."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from time import process_time

import numpy as np

from services.core.model.outcome import Stage
from services.core.model.register import Agency, Government, Link, Policy, Register, Service
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares
from services.indicator.structure.network import AgencyNetwork
from services.indicator.structure.structure import compute_structure

__all__ = ["measure_structure"]

_SLOTS = 288 * 28
_REPEATS = 7


def measure_structure(agencies: int, links: int) -> Iterator[str]:
    """Time it in CPU seconds of one core, at this size and at a tenth of it."""
    yield f"{'agencies':>9} {'links':>10} {'pairs':>9} {'arrange, s':>11} {'one window, s':>14} {'from … to':>15}"
    for tenth in (10, 1):
        yield _row(agencies // tenth, links // tenth)


def _row(agencies: int, links: int) -> str:
    rng = np.random.default_rng(1)
    register = _register(agencies, links)
    arrays = RegisterArrays.of(register)
    begun = process_time()
    network = AgencyNetwork.of(register, arrays)
    arranged = process_time() - begun
    seen = rng.integers(0, _SLOTS + 1, links)
    ok = np.where(arrays.absent | (rng.random(links) < 0.3), 0, (seen * rng.random(links)).astype(np.int64))
    counts = np.zeros((Stage.OK + 1, links), dtype=np.int64)
    counts[Stage.OK], counts[Stage.NOT_CONNECTED] = ok, seen - ok
    slots = np.full(links, _SLOTS, dtype=np.int64)
    strict = rng.random(len(arrays.services))
    taken = []
    for _ in range(_REPEATS):
        begun = process_time()
        found = compute_structure(network, LinkShares.of(arrays, slots, counts, np.zeros_like(slots)), strict, 28)
        taken.append(process_time() - begun)
        assert found is not None
    span = f"{min(taken):.3f}-{max(taken):.3f}"
    pairs = len(network.consumer)
    return f"{agencies:>9,} {links:>10,} {pairs:>9,} {arranged:>11.3f} {median(taken):>14.3f} {span:>15}"


def _register(agencies: int, links: int) -> Register:
    """Return ten links per service. The n-th agency is asked in proportion to n^-0.9, as in the sandbox."""
    rng = random.Random(1)
    names = [f"a{number:05}" for number in range(agencies)]
    services = [Service(f"s{number:06}", names[number % agencies], "", "") for number in range(max(1, links // 10))]
    asked = np.arange(1, agencies + 1) ** -0.9
    drawn = np.random.default_rng(1).choice(agencies, links, p=asked / asked.sum())
    rows = {}
    for number in range(links):
        service = services[number % len(services)]
        provider = names[drawn[number]]
        if provider == service.agency:
            provider = names[(drawn[number] + 1) % agencies]
        link = Link(f"l{number:07}", service.id, provider, "d")
        rows[link.id] = link if rng.random() < 0.7 else replace(link, live_from=None)
    return Register(
        agencies={name: Agency(name, name, "", f"x{number % 12}") for number, name in enumerate(names)},
        services={service.id: service for service in services},
        links=rows,
        endpoints={},
        probes={},
        policy=Policy(Government("bench", "", ""), "UTC", epoch=None),  # type: ignore[arg-type]  # no window is computed
    )
