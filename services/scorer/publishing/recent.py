"""Keeps the last measurements as blocks of bucket ``indicator``, from which a restart reads them back (ADR 26)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

import numpy as np

from services.core.blocks import RecentBlock, decode_recent
from services.core.bus import INDICATOR_BUCKET, MEASUREMENTS, Bus, columns_of, recent_key
from services.core.model import IndicatorKind
from services.indicator.cells import RecentMeasurements, recent_batches
from services.indicator.index import BurnCounter
from services.indicator.register_arrays import RegisterArrays
from services.scorer.index import AgencyMembers, Scoring

PART = 512
"""Targets in one block. Even with the detail of every failure it stays below the bus's limit of 1 MiB."""


def recent_keys(members: Mapping[str, AgencyMembers]) -> set[str]:
    """Return the keys of all parts of these agencies' blocks."""
    return {
        recent_key(agency, part) for agency, own in members.items() for part in range(-(-len(own.target_rows) // PART))
    }


def recent_blocks(
    recent: RecentMeasurements, burns: BurnCounter, arrays: RegisterArrays, members: Mapping[str, AgencyMembers]
) -> Iterator[tuple[str, RecentBlock]]:
    """Yield each agency's targets in blocks of PART, with the key of the block and what was last measured of them."""
    columns = recent.columns_of(arrays.targets)
    for agency, own in members.items():
        links = len(own.links)
        for start in range(0, len(own.target_rows), PART):
            part = slice(start, start + PART)
            own_columns = columns[own.target_rows[part]]
            counted = own.rows[IndicatorKind.LINK][part]
            yield (
                recent_key(agency, start // PART),
                RecentBlock(
                    links=own.links[part],
                    endpoints=own.endpoints[max(0, start - links) : max(0, start + PART - links)],
                    vantages=tuple(recent.vantages),
                    latest=recent.latest(own_columns),
                    failures=recent.failures(own_columns),
                    burn_known=burns.known[:, counted].astype(np.int64),
                    burn_failed=burns.failed[:, counted].astype(np.int64),
                ),
            )


async def recall(bus: Bus, scoring: Scoring, last: int) -> int:
    """Read back the blocks published last, then the measurements stored since, up to message ``last`` of MEASUREMENTS.

    Returns the number of messages read. Unreadable ones are skipped, since the next slot is measured again. Raises
    BusError.
    """
    sequence, read = last, 0
    async for _, payload in bus.kv_each(INDICATOR_BUCKET, recent_key("*", "*")):
        if payload is None:
            continue
        with suppress(ValueError):
            block = decode_recent(payload)
            # A block includes at least the messages up to its own sequence. Not every block is put with every index.
            sequence = min(sequence, block.evidence_sequence)
            for rows in (block.latest, block.failures):
                for batch in recent_batches(rows, block.targets, block.vantages):
                    scoring.recall(batch)
    while sequence < last:
        messages = await bus.read(MEASUREMENTS, sequence + 1, limit=min(500, last - sequence))
        for message in messages:
            with suppress(ValueError):
                scoring.recall(columns_of(message), stored=message.time)
        if not messages:
            break
        sequence, read = messages[-1].sequence, read + len(messages)
    return read
