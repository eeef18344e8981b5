"""How the agencies hang together: coverage, islands, silos, concentration, resilience (docs/method.md §7, Structure).

Only links in force that weigh something take part (ω > 0), so that what changes no index changes no structure; the one
exception is E, which knows no weights of links. What nobody saw counts as not working, and the upper bounds say what it
could have been. Inquiries are not transitive: an island says who can reach whom at all, never that a path would serve.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from services.core.model import IndicatorKind, ProviderRole, SetIndex, Stage, Structure
from services.indicator.array_types import Bools, Floats
from services.indicator.index import TOLERANCE, Snapshot
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares, group_sums, link_shares, mean_share, ordered_sum
from services.indicator.structure.network import AgencyNetwork
from services.indicator.structure.resilience import node_losses

__all__ = ["compute_structure", "structure_by_window"]


def structure_by_window(arrays: RegisterArrays, network: AgencyNetwork, snapshot: Snapshot) -> tuple[Structure, ...]:
    """Return the structure over each window of a snapshot in which anything is required."""
    found = (_of_window(arrays, network, snapshot, window) for window in snapshot.windows)
    return tuple(one for one in found if one is not None)


def _of_window(arrays: RegisterArrays, network: AgencyNetwork, snapshot: Snapshot, window: int) -> Structure | None:
    links = snapshot.links[window]
    shares = link_shares(arrays, links.slots, links.counts)
    found = compute_structure(
        arrays, network, shares, snapshot.columns[IndicatorKind.SERVICE, window].strict_point, window
    )
    return found and replace(
        found,
        as_of=snapshot.as_of,
        register_version=snapshot.register_version,
        method_version=snapshot.method_version,
        evidence_sequence=snapshot.evidence_sequence,
    )


def compute_structure(
    arrays: RegisterArrays, network: AgencyNetwork, shares: LinkShares, strict: Floats, window_days: int
) -> Structure | None:
    """Compute the structure of one window; None when no link in force weighs anything. ``strict`` (s,) is E_s, NaN unset.

    * Pair coverage: working pairs / required pairs, plain and by the ω of their links.
    * Isolates: agencies in required pairs and in no working one, in whichever role.
    * Fragmentation: the ω-share of required pairs whose agencies are in different islands, the weak components of the
      working pairs. A working pair lies within an island, so it is at most 1 - weighted pair coverage.
    * Reciprocity: the share of working pairs that work the other way too; None when no pair works.
    * Silo gap: CII of links within a sector - CII of those across; None unless both are publishable, so with one sector.
    * Provider concentration: Σ (ω-share of a provider)², the Herfindahl-Hirschman index, from 1/providers to 1.
    * Resilience N-1: 1 - max ΔE/E over the nodes, the bus as one (``node_losses``).
    """
    pairs, agencies = len(network.consumer), len(arrays.agencies)
    counted = shares.omega > 0
    omega = np.where(counted, shares.omega, 0.0)
    total = ordered_sum(omega)
    if total == 0:
        return None

    def any_of(links: Bools) -> Bools:
        found = np.zeros(pairs, dtype=np.bool_)
        found[network.pair[counted & links]] = True
        return found

    required, working = any_of(counted), any_of(shares.counts[Stage.OK] > 0)
    possible = working | any_of(shares.known < shares.slots)
    weight = group_sums(network.pair, omega, pairs)

    def share(chosen: Bools) -> float:
        # Rounding must not lift a part above the whole, whose links are summed in another order.
        return min(1.0, ordered_sum(np.where(chosen, weight, 0.0)) / total)

    taking_part = np.zeros(agencies, dtype=np.bool_)
    taking_part[network.consumer[required]] = taking_part[network.provider[required]] = True
    realised = np.zeros(agencies, dtype=np.bool_)
    realised[network.consumer[working]] = realised[network.provider[working]] = True
    island = _components(network, working, agencies)
    could_be = _components(network, possible, agencies)
    within, across = _of_sets(arrays, shares, network.within, omega)
    falls = node_losses(arrays, network, shares.slots > 0, strict)
    roles = _roles(arrays, shares, omega / total, falls.providers)
    return Structure(
        window_days=window_days,
        pairs_required=int(required.sum()),
        pairs_working=int(working.sum()),
        pairs_absent=int((required & ~any_of(~arrays.absent)).sum()),
        pairs_unknown=int((required & ~any_of(shares.known > 0)).sum()),
        pair_coverage=float(working.sum() / required.sum()),
        pair_coverage_upper=float(possible.sum() / required.sum()),
        pair_coverage_weighted=share(working),
        pair_coverage_weighted_upper=share(possible),
        isolates=tuple(arrays.agencies[at] for at in np.flatnonzero(taking_part & ~realised)),
        islands=_islands(arrays, island, taking_part),
        fragmentation=share(required & (island[network.consumer] != island[network.provider])),
        fragmentation_lower=share(required & (could_be[network.consumer] != could_be[network.provider])),
        reciprocity=_reciprocity(network, working),
        within_sectors=within,
        across_sectors=across,
        silo_gap=None if within.point is None or across.point is None else within.point - across.point,
        provider_concentration=ordered_sum(np.array([role.share**2 for role in roles])),
        providers=roles,
        bus_links=falls.bus_links,
        bus_strict_loss=falls.bus,
        resilience=falls.resilience,
        weakest="" if falls.weakest is None else arrays.agencies[falls.weakest],
        declared=min(1.0, ordered_sum(np.where(arrays.absent, 0.0, omega)) / total),
    )


def _components(network: AgencyNetwork, chosen: Bools, agencies: int) -> NDArray[np.int32]:
    ends = (network.consumer[chosen], network.provider[chosen])
    graph = coo_array((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(agencies, agencies))
    component: NDArray[np.int32] = connected_components(graph, directed=True, connection="weak")[1]
    return component


def _islands(arrays: RegisterArrays, component: NDArray[np.int32], taking_part: Bools) -> tuple[tuple[str, ...], ...]:
    members = np.flatnonzero(taking_part)
    members = members[np.argsort(component[members], kind="stable")]
    cuts = np.flatnonzero(np.diff(component[members])) + 1
    found = [tuple(arrays.agencies[at] for at in some.tolist()) for some in np.split(members, cuts)]
    return tuple(sorted(found, key=lambda island: (-len(island), island)))


def _reciprocity(network: AgencyNetwork, working: Bools) -> float | None:
    reverse = network.reverse[working]
    if not len(reverse):
        return None
    return float((working[reverse] & (reverse >= 0)).sum() / len(reverse))


def _of_sets(arrays: RegisterArrays, shares: LinkShares, within: Bools, omega: Floats) -> tuple[SetIndex, SetIndex]:
    """Return the index of the links within a sector, and of those across."""
    group = np.where(within, 0, 1)
    links = np.bincount(group[omega > 0], minlength=2)
    means = mean_share(shares, group, omega, 2)
    point = np.where(means.known_share >= arrays.publish_threshold - TOLERANCE, means.estimate, np.nan)
    one, other = (
        SetIndex(
            links=int(links[at]),
            point=None if np.isnan(point[at]) else float(point[at]),
            lower=float(means.lower[at]),
            upper=float(means.upper[at]),
            known_share=float(means.known_share[at]),
        )
        for at in (0, 1)
    )
    return one, other


def _roles(arrays: RegisterArrays, shares: LinkShares, part: Floats, fall: Floats) -> tuple[ProviderRole, ...]:
    """Return what hangs on each provider with a link in force; ``part`` (n,) is ω as a share of all of it."""
    agencies = len(arrays.agencies)
    links = np.bincount(arrays.provider[shares.slots > 0], minlength=agencies)
    share = group_sums(arrays.provider, part, agencies)
    loss = group_sums(arrays.provider, part * (1.0 - shares.lower), agencies)
    return tuple(
        ProviderRole(arrays.agencies[at], int(links[at]), float(share[at]), float(loss[at]), float(fall[at]))
        for at in np.flatnonzero(links)
    )
