"""Blocks made by hand for the api's tests: counts per link, and indicators computed from them here.

Every link has 100 slots, all known. ``ok`` says how many were OK (90 by default); the rest were LATE. An absent link
is NOT_CONNECTED in all of them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np

from services.core.blocks.encode import EvidenceColumns, encode_group
from services.core.blocks.target_blocks import RecentBlock, SlotBlock
from services.core.bus import consumers_key, group_of
from services.core.codec import ExchangeVolume
from services.core.model.indicator import (
    Indicator,
    IndicatorKind,
    Interval,
    Losses,
    ProviderRole,
    SetIndex,
    StrictShare,
    Structure,
)
from services.core.model.measurement import RecentRows
from services.core.model.monitoring import Monitoring, StreamHealth, VantageHealth
from services.core.model.outcome import Outcome, Reason
from tests.support.values.block_columns import Block, encoded

__all__ = [
    "AS_OF",
    "COUNTED_FROM",
    "MONITORING",
    "blocks_of",
    "recent_block",
    "slot_block_of",
    "structure_of",
    "values_of",
]

AS_OF = 1_790_000_100
"""A whole slot of 300 s, in 2026."""

COUNTED_FROM = 1_782_160_200
"""Midnight in Tehran, 90 days before that day. Exchanges count from here."""

SLOTS = 100

MONITORING = Monitoring(
    slots_from=AS_OF - 72 * 300,
    slots_to=AS_OF,
    vantages=(
        VantageHealth("north", 576, 570, ((Reason.VANTAGE_BLIND, 16),), AS_OF - 300),
        VantageHealth("south", 576, 0, (), None),
    ),
    streams=(
        StreamHealth("MEASUREMENTS", 4000, 3_100_000, 1 << 30, 4009, 3, 2, 1),
        StreamHealth("KV_indicator", 90, 20_500, 0, 93, None, 0, 0),
    ),
    since=AS_OF - 9000,
    late=11,
    refused=12,
    rejected=13,
    batches_missing=14,
    batches_broken=15,
)


def values_of(register, **options):
    """Return every value of bucket `indicator` that has indicators, by key."""
    values: dict[str, bytes] = {}
    groups: dict[str, dict[str, bytes]] = defaultdict(dict)
    for key, block in blocks_of(register, **options).items():
        kind, _, agency = key.partition(".")
        if agency:
            groups[consumers_key(group_of(agency))][agency] = encoded(block)
        else:
            values[kind] = encoded(block)
    return values | {key: encode_group(blocks) for key, blocks in groups.items()}


def blocks_of(register, *, as_of=AS_OF, ok=None, sequence=7, windows=None):
    """Return every block by its key in the read model, which was its key in the bucket in version 0.2.0."""
    links = sorted(register.links.values(), key=lambda link: link.id)
    good = {link.id: 0 if link.absent else (ok or {}).get(link.id, 90) for link in links}
    within: dict[str, float] = defaultdict(float)
    for link in links:
        within[link.service] += link.weight
    omega = {link.id: register.services[link.service].weight * link.weight / within[link.service] for link in links}

    def indicator(kind, entity, members, window):
        total = sum(omega[link.id] for link in members)
        point = sum(omega[link.id] * good[link.id] / SLOTS for link in members) / total
        lost = sum(omega[link.id] for link in members if link.absent) / total
        return Indicator(
            kind=kind,
            id=entity,
            window_days=window,
            as_of=as_of,
            point=point,
            lower=point,
            upper=point,
            known_share=1.0,
            interval=Interval(point / 2, (1 + point) / 2, 0.95, outages=len(members)),
            losses=Losses(not_connected=lost, late=1 - point - lost),
            strict=None if kind in (IndicatorKind.PROVIDER, IndicatorKind.LINK) else StrictShare(point, point, point),
            level=None if kind is not IndicatorKind.SERVICE else 1 if any(link.absent for link in members) else 2,
            links_required=len(members),
            links_known=len(members),
            links_absent=sum(link.absent for link in members),
            register_version=register.register_version,
            probe_version=register.probe_version,
            method_version="1",
            evidence_sequence=sequence,
        )

    def grouped(label, some=links):
        groups = defaultdict(list)
        for link in some:
            groups[label(link)].append(link)
        return sorted(groups.items())

    windows = windows or register.policy.windows_days
    sectors = grouped(lambda link: register.agencies[register.consumer(link)].sector)
    blocks = {
        "government": Block(
            tuple(
                indicator(kind, entity, members, window)
                for window in windows
                for kind, groups in (
                    (IndicatorKind.GOVERNMENT, [(register.policy.government.id, links)]),
                    (IndicatorKind.SECTOR, sectors),
                    (IndicatorKind.PROVIDER, grouped(lambda link: link.provider)),
                )
                for entity, members in groups
            ),
            structures=tuple(structure_of(window, as_of) for window in windows),
            monitoring=MONITORING,
        )
    }
    for agency, members in grouped(register.consumer):
        kinds = (
            (IndicatorKind.CONSUMER, [(agency, members)]),
            (IndicatorKind.SERVICE, grouped(lambda link: link.service, members)),
            (IndicatorKind.LINK, grouped(lambda link: link.id, members)),
        )
        blocks[f"consumer.{agency}"] = Block(
            tuple(
                indicator(kind, entity, some, window)
                for window in windows
                for kind, groups in kinds
                for entity, some in groups
            ),
            tuple(_evidence(members, good, omega, window) for window in windows),
            (ExchangeVolume(agency, members[0].provider, False, 40, 38, 1, 1, as_of - 300, COUNTED_FROM, as_of),),
        )
    return blocks


def unknown_blocks_of(register):
    """Return every block of bucket `indicator` by key, where no slot of any link is known."""

    def unknown(one):
        return replace(
            one, point=None, interval=None, strict=None, lower=0.0, upper=1.0, known_share=0.0, losses=Losses()
        )

    return {
        key: replace(
            block,
            indicators=tuple(map(unknown, block.indicators)),
            links=tuple(
                replace(one, verdicts=np.zeros_like(one.verdicts), share=np.full_like(one.share, np.nan))
                for one in block.links
            ),
        )
        for key, block in blocks_of(register).items()
    }


def _evidence(members, good, omega, window):
    verdicts = np.zeros((len(members), 6), np.int64)
    for row, link in enumerate(members):
        verdicts[row, 5] = good[link.id]
        verdicts[row, 0 if link.absent else 3] = SLOTS - good[link.id]
    return EvidenceColumns(
        window,
        tuple(link.id for link in members),
        np.full(len(members), SLOTS, np.int64),
        verdicts,
        np.array([omega[link.id] for link in members]),
        verdicts[:, 5] / SLOTS,
    )


def structure_of(window, as_of=AS_OF):
    """Return a structure with a different value in every field."""
    return Structure(
        window_days=window,
        pairs_required=8,
        pairs_working=6,
        pairs_absent=1,
        pairs_unknown=1,
        pair_coverage=0.75,
        pair_coverage_upper=0.875,
        pair_coverage_weighted=0.8,
        pair_coverage_weighted_upper=0.9,
        isolates=("customs",),
        islands=(("civil-registry", "land-registry", "tax-office"), ("customs",)),
        fragmentation=0.2,
        fragmentation_lower=0.1,
        reciprocity=None,
        within_sectors=SetIndex(3, 0.95, 0.9, 0.96, 0.97),
        across_sectors=SetIndex(5, None, 0.4, 0.9, 0.5),
        silo_gap=None,
        provider_concentration=0.3,
        providers=(ProviderRole("customs", 2, 0.25, 0.2, 0.1), ProviderRole("tax-office", 6, 0.75, 0.05, 0.6)),
        bus_links=4,
        bus_strict_loss=0.5,
        resilience=0.15,
        weakest="tax-office",
        declared=11 / 12,
        as_of=as_of,
        register_version="r",
        method_version="1",
        evidence_sequence=7,
    )


def slot_block_of(register, agency, chunk, cells, vantages=("north", "south")):
    """Return one slot block. ``cells`` maps (link, slot number, vantage) to (outcome, reason). The worst counts."""
    links = tuple(one.id for one in register.links.values() if register.consumer(one) == agency)
    outcome = np.zeros((64, len(links), len(vantages)), np.uint8)
    reason = np.zeros_like(outcome)
    verdict = np.ones((64, len(links)), np.uint8)
    for (link, slot, vantage), (what, why) in cells.items():
        at = slot - chunk * 64, links.index(link), vantages.index(vantage)
        outcome[at], reason[at] = what, why
    for row, column in np.ndindex(verdict.shape):
        known = [one for one in outcome[row, column] if one > 1]
        verdict[row, column] = min(known, default=1)
    return SlotBlock(register.policy.slot_seconds, chunk * 64, links, (), vantages, verdict, outcome, reason)


def recent_block(register):
    """Return the recent block of land-registry's links: two vantages, a failure and a burn."""
    links = tuple(sorted(link.id for link in register.links.values() if register.consumer(link) == "land-registry"))
    at, slot = links.index("deed-tax"), AS_OF - 300
    unset, probe = [-1] * 8, [20_000, -1, 1_000, 2_000, 3_000, 14_000, -1, 1_900_000_000]
    ok = [at, 0, slot, slot * 10**6, Outcome.OK, Reason.OK, *probe]
    shed = [at, 1, slot, -1, Outcome.UNKNOWN, Reason.SHED, *unset]
    failed = [at, 0, slot - 300, (slot - 300) * 10**6, Outcome.INVALID, Reason.STATUS, *probe]
    known, burnt = np.full((4, len(links)), 10), np.zeros((4, len(links)), dtype=np.int64)
    burnt[0, at] = 5
    return RecentBlock(
        links=links,
        endpoints=(),
        vantages=("north", "south"),
        latest=RecentRows(np.array([ok, shed]).T, np.array(["", ""], dtype=object)),
        failures=RecentRows(np.array([failed]).T, np.array(["status 503"], dtype=object)),
        burn_known=known,
        burn_failed=burnt,
    )
