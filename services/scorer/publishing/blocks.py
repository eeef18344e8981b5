"""Cuts a snapshot into the blocks of bucket ``indicator`` (docs/design.md §5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.core.blocks import AgencyRank, BlockColumns, EvidenceColumns, SlotBlock
from services.core.bus import SLOTS_PER_BLOCK, slot_key
from services.core.codec import ExchangeVolume
from services.core.model import Finding, IndicatorKind, Monitoring, Reconciliation, Structure, Traffic
from services.indicator.evidence import Evidence
from services.indicator.index import LinkColumns, Snapshot
from services.indicator.register_arrays import RegisterArrays
from services.scorer.grouping import grouped
from services.scorer.index import AgencyMembers, EvidenceGroup
from services.scorer.publishing.columns import IndicatorTable

MOST_TARGETS = 1 << 17
"""How many targets have their slots read together: few enough for memory, enough to make reading each slot worth it."""


def government_block(
    table: IndicatorTable,
    volumes: Iterable[ExchangeVolume],
    structures: Iterable[Structure] = (),
    traffic: Iterable[Traffic] = (),
    monitoring: Monitoring | None = None,
    findings: Iterable[Finding] = (),
) -> BlockColumns:
    """Return the government's block: government, sectors and providers in all windows, structures and monitoring.

    ``volumes`` are those of consumers without a block: ``_unmapped`` and agencies without a service.
    """
    # The content of a block does not depend on how far the evidence was read. That is stamped on it afterwards.
    unstamped = (
        replace(structure, as_of=0, register_version="", method_version="", evidence_sequence=0)
        for structure in structures
    )
    (block,) = table.cut([table.all_of((IndicatorKind.GOVERNMENT, IndicatorKind.SECTOR, IndicatorKind.PROVIDER))])
    return replace(
        block,
        exchanges=tuple(volumes),
        structures=tuple(unstamped),
        traffic=tuple(traffic),
        ranks=ranks_of(table.snapshot, IndicatorKind.PROVIDER),
        monitoring=monitoring,
        findings=tuple(findings),
    )


def consumer_blocks(
    table: IndicatorTable,
    members: Sequence[AgencyMembers],
    volumes: Sequence[Iterable[ExchangeVolume]],
    reconciliations: Sequence[Iterable[Reconciliation]],
    certificates: Sequence[Iterable[tuple[str, int]]],
) -> list[BlockColumns]:
    """Return the block of each agency: its indicator as consumer, its services, links and endpoints, in all windows."""
    blocks = table.cut([own.rows for own in members])
    return [
        replace(
            block,
            links=tuple(_evidence(table.snapshot.links[window], own) for window in table.snapshot.windows)
            if own.links
            else (),
            exchanges=tuple(own_volumes),
            reconciliations=tuple(own_reconciliations),
            certificates=tuple(own_certificates),
            ranks=ranks_of(table.snapshot, IndicatorKind.CONSUMER, own.rows[IndicatorKind.CONSUMER]),
        )
        for block, own, own_volumes, own_reconciliations, own_certificates in zip(
            blocks, members, volumes, reconciliations, certificates, strict=True
        )
    ]


def ranks_of(snapshot: Snapshot, kind: IndicatorKind, rows: NDArray[np.int64] | None = None) -> tuple[AgencyRank, ...]:
    """Return the ranks of some agencies in one role, by default of all agencies, in all windows."""
    ids = snapshot.columns[kind, snapshot.windows[0]].ids
    agencies = ids if rows is None else [ids[row] for row in rows.tolist()]
    return tuple(
        AgencyRank(kind, agency, days, band)
        for days in snapshot.windows
        for agency in agencies
        if (band := snapshot.columns[kind, days].ranks.get(agency)) is not None
    )


def _evidence(columns: LinkColumns, members: AgencyMembers) -> EvidenceColumns:
    rows = members.rows[IndicatorKind.LINK]
    return EvidenceColumns(
        window_days=columns.window_days,
        ids=members.links,
        slots=columns.slots[rows],
        verdicts=columns.counts[:, rows].T,
        omega=columns.omega[rows],
        share=columns.share[rows],
    )


def slot_blocks(
    evidence: Evidence, arrays: RegisterArrays, chunk: range, groups: Mapping[int, EvidenceGroup]
) -> Iterator[tuple[str, SlotBlock]]:
    """Yield the key and the block of each group, for one chunk of slots, judged by ``arrays``."""
    for some in grouped(groups.items(), lambda item: len(item[1].target_rows), MOST_TARGETS):
        rows = np.concatenate([own.target_rows for _, own in some])
        detail = evidence.detail(arrays, chunk, rows)
        start = 0
        for group, own in some:
            part = slice(start, start + len(own.target_rows))
            start = part.stop
            yield (
                slot_key(group, detail.first_slot // SLOTS_PER_BLOCK),
                SlotBlock(
                    slot_seconds=evidence.calendar.slot_seconds,
                    first_slot=detail.first_slot,
                    links=own.links,
                    endpoints=own.endpoints,
                    vantages=detail.vantages,
                    verdict=detail.verdict[:, part],
                    outcome=detail.outcome[:, part],
                    reason=detail.reason[:, part],
                ),
            )
