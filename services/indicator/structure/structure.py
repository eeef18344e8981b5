"""The structure of the network: coverage, islands, silos, concentration, resilience (docs/method.md §7.2).

Only links in force with a weight (ω > 0) take part, so a link that changes no index changes no structure. E is the one
exception: it does not use the weights of links. Links that are not known to work count as not working, and the upper
bounds cover what they could have been. Inquiries are not transitive: an island shows which agencies can reach each
other at all, not that a path of inquiries would work.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.core.model import IndicatorKind, ProviderRole, SetIndex, Stage, Structure
from services.indicator.array_types import Bools, Floats
from services.indicator.index import Snapshot, set_indexes
from services.indicator.register_arrays import RegisterArrays
from services.indicator.scipy_parts import weak_components
from services.indicator.shares import LinkShares, mean_share
from services.indicator.structure.network import AgencyNetwork
from services.indicator.structure.resilience import node_losses
from services.indicator.sums import group_sums, ordered_sum


def structure_by_window(arrays: RegisterArrays, network: AgencyNetwork, snapshot: Snapshot) -> tuple[Structure, ...]:
    """Return the structure of each window of a snapshot in which a link weighs anything."""
    structures = (_of_window(arrays, network, snapshot, window) for window in snapshot.windows)
    return tuple(structure for structure in structures if structure is not None)


def _of_window(arrays: RegisterArrays, network: AgencyNetwork, snapshot: Snapshot, window: int) -> Structure | None:
    links = snapshot.links[window]
    shares = LinkShares.of(arrays, links.slots, links.counts, links.paper)
    structure = compute_structure(network, shares, snapshot.columns[IndicatorKind.SERVICE, window].strict_point, window)
    return structure and replace(
        structure,
        as_of=snapshot.as_of,
        register_version=snapshot.register_version,
        method_version=snapshot.method_version,
        evidence_sequence=snapshot.evidence_sequence,
    )


def compute_structure(network: AgencyNetwork, shares: LinkShares, strict: Floats, window_days: int) -> Structure | None:
    """Compute the structure of one window, or None when no link in force weighs anything.

    ``strict`` (s,) is E_s, NaN where it is unset.

    * Pair coverage: working pairs / required pairs, plain and by the ω of their links.
    * Isolates: agencies in required pairs and in no working one, in either role.
    * Fragmentation: the ω-share of required pairs whose agencies are in different islands, the weak components of the
      working pairs. A working pair lies within an island, so fragmentation is at most 1 - weighted pair coverage.
    * Reciprocity: the share of working pairs that work the other way too; None when no pair works.
    * Silo gap: CII of links within a sector - CII of those across; None if one is not publishable, as with one sector.
    * Provider concentration: Σ (ω-share of a provider)², the Herfindahl-Hirschman index, from 1/providers to 1.
    * Resilience N-1: 1 - max ΔE/E over the nodes, the bus as one (``node_losses``).
    """
    arrays = shares.arrays
    pairs, agencies = len(network.consumer), len(arrays.agencies)
    counted = shares.omega > 0
    omega = np.where(counted, shares.omega, 0.0)
    total = ordered_sum(omega)
    if total == 0:
        return None

    def pairs_of(links: Bools) -> Bools:
        having = np.zeros(pairs, dtype=np.bool_)
        having[network.pair[counted & links]] = True
        return having

    required, working = pairs_of(counted), pairs_of(shares.counts[Stage.OK] > 0)
    possible = working | pairs_of(shares.known < shares.slots)
    weight = group_sums(network.pair, omega, pairs)

    def share(chosen: Bools) -> float:
        # Rounding must not put a part above the whole, whose links are summed in another order.
        return min(1.0, ordered_sum(np.where(chosen, weight, 0.0)) / total)

    taking_part = np.zeros(agencies, dtype=np.bool_)
    taking_part[network.consumer[required]] = taking_part[network.provider[required]] = True
    connected = np.zeros(agencies, dtype=np.bool_)
    connected[network.consumer[working]] = connected[network.provider[working]] = True
    island = _components(network, working, agencies)
    could_be = _components(network, possible, agencies)
    within, across = _of_sets(shares, network.within, omega)
    losses = node_losses(arrays, network, shares.slots > 0, strict)
    roles = _roles(shares, omega / total, losses.providers)
    return Structure(
        window_days=window_days,
        pairs_required=int(required.sum()),
        pairs_working=int(working.sum()),
        pairs_absent=int((required & ~pairs_of(~arrays.absent)).sum()),
        pairs_unknown=int((required & ~pairs_of(shares.known > 0)).sum()),
        pair_coverage=float(working.sum() / required.sum()),
        pair_coverage_upper=float(possible.sum() / required.sum()),
        pair_coverage_weighted=share(working),
        pair_coverage_weighted_upper=share(possible),
        isolates=tuple(arrays.agencies[agency] for agency in np.flatnonzero(taking_part & ~connected)),
        islands=_islands(arrays, island, taking_part),
        fragmentation=share(required & (island[network.consumer] != island[network.provider])),
        fragmentation_lower=share(required & (could_be[network.consumer] != could_be[network.provider])),
        reciprocity=_reciprocity(network, working),
        within_sectors=within,
        across_sectors=across,
        silo_gap=None if within.point is None or across.point is None else within.point - across.point,
        provider_concentration=ordered_sum(np.array([role.share**2 for role in roles])),
        providers=roles,
        bus_links=losses.bus_links,
        bus_strict_loss=losses.bus,
        resilience=losses.resilience,
        weakest="" if losses.weakest is None else arrays.agencies[losses.weakest],
        declared=min(1.0, ordered_sum(np.where(arrays.absent, 0.0, omega)) / total),
    )


def _components(network: AgencyNetwork, chosen: Bools, agencies: int) -> NDArray[np.int32]:
    return weak_components(network.consumer[chosen], network.provider[chosen], agencies)


def _islands(arrays: RegisterArrays, component: NDArray[np.int32], taking_part: Bools) -> tuple[tuple[str, ...], ...]:
    members = np.flatnonzero(taking_part)
    members = members[np.argsort(component[members], kind="stable")]
    cuts = np.flatnonzero(np.diff(component[members])) + 1
    islands = [tuple(arrays.agencies[agency] for agency in island.tolist()) for island in np.split(members, cuts)]
    return tuple(sorted(islands, key=lambda island: (-len(island), island)))


def _reciprocity(network: AgencyNetwork, working: Bools) -> float | None:
    reverse = network.reverse[working]
    if not len(reverse):
        return None
    return float((working[reverse] & (reverse >= 0)).sum() / len(reverse))


def _of_sets(shares: LinkShares, within: Bools, omega: Floats) -> tuple[SetIndex, SetIndex]:
    """Return the index of the links within a sector, and of those across."""
    group = np.where(within, 0, 1)
    links = np.bincount(group[omega > 0], minlength=2)
    of_within, of_across = set_indexes(shares.arrays, mean_share(shares, group, omega, 2), links)
    return of_within, of_across


def _roles(shares: LinkShares, part: Floats, strict_loss: Floats) -> tuple[ProviderRole, ...]:
    """Return the role of each provider with a link in force; ``part`` (n,) is ω as a share of the total."""
    arrays, agencies = shares.arrays, len(shares.arrays.agencies)
    links = np.bincount(arrays.provider[shares.slots > 0], minlength=agencies)
    share = group_sums(arrays.provider, part, agencies)
    loss = group_sums(arrays.provider, part * (1.0 - shares.lower), agencies)
    return tuple(
        ProviderRole(
            arrays.agencies[agency], int(links[agency]), *(float(of[agency]) for of in (share, loss, strict_loss))
        )
        for agency in np.flatnonzero(links)
    )
