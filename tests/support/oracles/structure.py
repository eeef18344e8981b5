"""Compute the structure by brute force, in exact rationals, with plain loops over links and pairs.

It imports nothing of services/. Registers and measurements are those of tests/support/oracles/index.py. ``bus`` names
the links that go over the data bus.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from typing import Any

from tests.support.oracles import index as oracle

__all__ = ["structure"]


def structure(
    register: Mapping[str, Any],
    measurements: Iterable[oracle.Measurement],
    *,
    days: int,
    end_slot: int,
    bus: Collection[str] = (),
) -> dict[str, Any] | None:
    """Return every measure by its name, shares as Fractions, or None when no link in force has weight."""
    verdicts = oracle.verdicts(register, measurements)
    found = oracle._Index(register, verdicts, oracle.window(register, days, end_slot))
    index = oracle.index(register, verdicts, days=days, end_slot=end_slot)
    _, omega = found.weights()
    links = [link for link in found.in_force if omega[link["id"]] > 0]
    total = sum((omega[link["id"]] for link in links), Fraction(0))
    if not links:
        return None
    owner = {service["id"]: service["agency"] for service in register["services"]}
    sector = {agency["id"]: agency["sector"] for agency in register["agencies"]}

    pairs: dict[tuple[str, str], list[Any]] = {}
    for link in links:
        pairs.setdefault((owner[link["service"]], link["provider"]), []).append(link)
    weight = {pair: sum(omega[link["id"]] for link in some) for pair, some in pairs.items()}
    stages = found.stages
    working = {pair for pair, some in pairs.items() if any(5 in stages[link["id"]] for link in some)}
    possible = working | {pair for pair, some in pairs.items() if any(None in stages[link["id"]] for link in some)}
    agencies = {agency for pair in pairs for agency in pair}
    island, could_be = _islands(agencies, working), _islands(agencies, possible)

    def share(chosen: Iterable[tuple[str, str]]) -> Fraction:
        return sum((weight[pair] for pair in chosen), Fraction(0)) / total

    def apart(islands: list[set[str]]) -> Fraction:
        return share(pair for pair in pairs if not any(set(pair) <= one for one in islands))

    providers = {}
    for provider in {link["provider"] for link in found.in_force}:
        own = [link for link in links if link["provider"] == provider]
        served = sum((omega[one["id"]] * _served(stages[one["id"]]) for one in own), Fraction(0))
        heavy = sum((omega[one["id"]] for one in own), Fraction(0))
        providers[provider] = {
            "links": sum(link["provider"] == provider for link in found.in_force),
            "share": heavy / total,
            "loss": (heavy - served) / total,
            "strict_loss": _fall(found, {one["service"] for one in found.in_force if one["provider"] == provider}),
        }
    strict = _fall(found, set(owner))
    on_bus = [link for link in found.in_force if link["id"] in bus]
    bus_fall = _fall(found, {link["service"] for link in on_bus})
    worst = max([bus_fall, *(one["strict_loss"] for one in providers.values())])
    gap = {
        within: _set(
            register,
            [link for link in links if (sector[owner[link["service"]]] == sector[link["provider"]]) is within],
            found,
            omega,
        )
        for within in (True, False)
    }
    points = [gap[within][0] for within in (True, False)]
    return {
        "pairs_required": len(pairs),
        "pairs_working": len(working),
        "pairs_absent": sum(all(link["live_from"] is None for link in some) for some in pairs.values()),
        "pairs_unknown": sum(all(set(stages[link["id"]]) == {None} for link in some) for some in pairs.values()),
        "pair_coverage": Fraction(len(working), len(pairs)),
        "pair_coverage_upper": Fraction(len(possible), len(pairs)),
        "pair_coverage_weighted": share(working),
        "pair_coverage_weighted_upper": share(possible),
        "isolates": tuple(sorted(agencies - {agency for pair in working for agency in pair})),
        "islands": tuple(sorted((tuple(sorted(one)) for one in island), key=lambda one: (-len(one), one))),
        "fragmentation": apart(island),
        "fragmentation_lower": apart(could_be),
        "reciprocity": Fraction(sum((b, a) in working for a, b in working), len(working)) if working else None,
        "within_sectors": gap[True],
        "across_sectors": gap[False],
        "silo_gap": None if None in points else points[0] - points[1],
        "provider_concentration": sum(one["share"] ** 2 for one in providers.values()),
        "providers": providers,
        "bus_links": len(on_bus),
        "bus_strict_loss": bus_fall,
        "resilience": 1 - worst / strict if strict else None,
        "declared": sum((omega[link["id"]] for link in links if link["live_from"] is not None), Fraction(0)) / total,
        "lower": index["government", register["government"]].lower,
    }


def _islands(agencies: Iterable[str], edges: set[tuple[str, str]]) -> list[set[str]]:
    """Merge sets that an edge joins until nothing changes."""
    islands = [{agency} for agency in sorted(agencies)]
    for one, other in edges:
        joined = [island for island in islands if one in island or other in island]
        islands = [island for island in islands if island not in joined] + [set().union(*joined)]
    return islands


def _served(stages: list[int | None]) -> Fraction:
    return Fraction(stages.count(5), len(stages))


def _fall(found: oracle._Index, services: Collection[str]) -> Fraction:
    """The part of the government's E that these services carry: v E_s over the v of all that have an E_s."""
    judged = []
    for name, row in found.services.items():
        _, up, down = found.joint(name)
        if up + down:
            judged.append((name, oracle.decimal(row["weight"]), Fraction(up, up + down)))
    total = sum(weight for _, weight, _ in judged)
    return sum((weight * strict for name, weight, strict in judged if name in services), Fraction(0)) / (total or 1)


def _set(
    register: Mapping[str, Any], links: list[Any], found: oracle._Index, omega: Mapping[str, Fraction]
) -> tuple[Any, ...]:
    """(point or None, lower, upper, known share, links) of a set of links, imputed as the index imputes."""
    total = sum((omega[link["id"]] for link in links), Fraction(0))
    if not links:
        return None, Fraction(0), Fraction(1), Fraction(0), 0
    imputed = found.imputed()
    lower = known = estimate = Fraction(0)
    nothing = False
    for link in links:
        stages = found.stages[link["id"]]
        profile = imputed[link["id"]]
        nothing |= profile is None
        part = omega[link["id"]] / total
        lower += part * _served(stages)
        known += part * Fraction(sum(stage is not None for stage in stages), len(stages))
        estimate += part * (profile[5] if profile else 0)
    published = not nothing and known >= register["threshold"]
    return estimate if published else None, lower, lower + 1 - known, known, len(links)
