"""A snapshot cut into the blocks of KV bucket ``indicator`` (DESIGN.md, Contracts)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from services.core.codec import BlockColumns, ExchangeVolume, LinkEvidence, SlotBlock
from services.core.evidence import Indicator, Kind
from services.core.reconciliation import Reconciliation, Traffic
from services.core.structure import Structure
from services.indicator.index import LinkColumns, Snapshot
from services.indicator.window import SlotDetail
from services.scorer.membership import Members
from services.scorer.table import Table

__all__ = [
    "CHUNK_SLOTS",
    "GOVERNMENT",
    "consumer_block",
    "consumer_key",
    "daily",
    "government_block",
    "hourly",
    "slot_blocks",
    "slot_key",
]

GOVERNMENT = "government"
"""The key of the government's block."""

CHUNK_SLOTS = 64
"""Slots in one slot block."""

AGENCIES_AND_ABOVE = (Kind.GOVERNMENT, Kind.SECTOR, Kind.CONSUMER, Kind.PROVIDER)


def consumer_key(agency: str) -> str:
    """Return the key of an agency's block."""
    return f"consumer.{agency}"


def slot_key(agency: str, chunk: int) -> str:
    """Return the key of one chunk (first slot // CHUNK_SLOTS) of an agency's slots."""
    return f"slot.{agency}.{chunk}"


def government_block(
    table: Table,
    volumes: Iterable[ExchangeVolume],
    structures: Iterable[Structure] = (),
    traffic: Iterable[Traffic] = (),
) -> BlockColumns:
    """Return government, sectors and providers in all windows, and the structure over each.

    ``volumes`` are those of consumers that have no block: ``_unmapped`` and agencies without a service.
    """
    kinds = (Kind.GOVERNMENT, Kind.SECTOR, Kind.PROVIDER)
    rows = {kind: np.arange(len(table.places[kind])) for kind in kinds}
    # What a block says does not depend on how far the evidence was read: it is stamped with that afterwards.
    unstamped = (
        replace(one, as_of=0, register_version="", method_version="", evidence_sequence=0) for one in structures
    )
    return replace(table.cut(rows), exchanges=tuple(volumes), structures=tuple(unstamped), traffic=tuple(traffic))


def consumer_block(
    table: Table,
    members: Members,
    volumes: Iterable[ExchangeVolume],
    reconciliations: Iterable[Reconciliation] = (),
) -> BlockColumns:
    """Return an agency's indicator as consumer, and its services, links and endpoints, in all windows."""
    snapshot = table.snapshot
    links = (_evidence(snapshot.links[window], members) for window in snapshot.windows) if members.links else ()
    return replace(
        table.cut(members.rows), links=tuple(links), exchanges=tuple(volumes), reconciliations=tuple(reconciliations)
    )


def _evidence(columns: LinkColumns, members: Members) -> LinkEvidence:
    rows = members.rows[Kind.LINK]
    return LinkEvidence(
        window_days=columns.window_days,
        ids=members.links,
        slots=columns.slots[rows],
        verdicts=columns.counts[:, rows].T,
        omega=columns.omega[rows],
        share=columns.share[rows],
    )


def slot_blocks(
    detail: SlotDetail, members: Mapping[str, Members], *, slot_seconds: int, evidence_sequence: int
) -> Iterator[tuple[str, SlotBlock]]:
    """Cut one chunk, whose detail covers all of the frame's targets, into a block per agency."""
    for agency, own in members.items():
        rows = own.target_rows
        if len(rows):
            yield (
                slot_key(agency, detail.first_slot // CHUNK_SLOTS),
                SlotBlock(
                    slot_seconds=slot_seconds,
                    first_slot=detail.first_slot,
                    links=own.links,
                    endpoints=own.endpoints,
                    vantages=detail.vantages,
                    verdict=detail.verdict[:, rows],
                    outcome=detail.outcome[:, rows],
                    reason=detail.reason[:, rows],
                    evidence_sequence=evidence_sequence,
                ),
            )


def hourly(snapshot: Snapshot) -> list[Indicator]:
    """Return what goes to INDICATORS every hour: agencies and above, in all windows."""
    return _of_kinds(snapshot, AGENCIES_AND_ABOVE)


def daily(snapshot: Snapshot) -> list[Indicator]:
    """Return what goes to INDICATORS every day: services, in all windows."""
    return _of_kinds(snapshot, (Kind.SERVICE,))


def _of_kinds(snapshot: Snapshot, kinds: Iterable[Kind]) -> list[Indicator]:
    return [row for window in snapshot.windows for kind in kinds for row in snapshot.rows(kind, window)]
