"""Keeps the last measurements as blocks of bucket ``indicator``, from which a restart reads them back (ADR 26)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate

import numpy as np

from services.core.blocks import RecentBlock, decode_recent
from services.core.bus import INDICATOR_BUCKET, MEASUREMENTS, Bus, columns_of, recent_key
from services.core.model import RecentRows
from services.indicator.cells import RecentMeasurements, recent_batches
from services.indicator.index import BurnCounter
from services.indicator.register_arrays import RegisterArrays
from services.scorer.grouping import grouped
from services.scorer.index import EvidenceGroup, Scoring
from services.scorer.publishing.encode import ENCODED_TARGETS

PART = 512
"""Targets in one block. Even with the detail of every failure it stays below the bus's limit of 1 MiB."""


def recent_keys(groups: Mapping[int, EvidenceGroup]) -> set[str]:
    """Return the keys of all parts of these groups' blocks."""
    return {
        recent_key(group, part) for group, own in groups.items() for part in range(-(-len(own.target_rows) // PART))
    }


def recent_blocks(
    recent: RecentMeasurements, burns: BurnCounter, arrays: RegisterArrays, groups: Mapping[int, EvidenceGroup]
) -> Iterator[tuple[str, RecentBlock]]:
    """Yield each group's targets in blocks of PART, with the key of the block and what was last measured of them.

    More rows may be ingested between two blocks.
    """
    columns = recent.columns.of(arrays.targets)
    parts = ((group, own, start) for group, own in groups.items() for start in range(0, len(own.target_rows), PART))
    for some in grouped(parts, lambda part: min(PART, len(part[1].target_rows) - part[2]), ENCODED_TARGETS):
        rows = [own.target_rows[start : start + PART] for _, own, start in some]
        columns_read = columns[np.concatenate(rows)]
        ends = [*accumulate(map(len, rows))]
        measured = zip(
            _split(recent.latest(columns_read), ends), _split(recent.failures(columns_read), ends), strict=True
        )
        vantages = tuple(recent.vantages)  # as of these rows, which may be the first ones of a vantage
        for (group, own, start), (latest, failures) in zip(some, measured, strict=True):
            links = len(own.links)
            counted = own.target_rows[:links][start : start + PART]
            yield (
                recent_key(group, start // PART),
                RecentBlock(
                    links=own.links[start : start + PART],
                    endpoints=own.endpoints[max(0, start - links) : max(0, start + PART - links)],
                    vantages=vantages,
                    latest=latest,
                    failures=failures,
                    burn_known=burns.known[:, counted].astype(np.int64),
                    burn_failed=burns.failed[:, counted].astype(np.int64),
                ),
            )


def _split(rows: RecentRows, ends: Sequence[int]) -> Iterator[RecentRows]:
    """Yield the rows of each block, whose targets end where those of the next one begin."""
    bounds = np.searchsorted(rows.numbers[0], ends).tolist()
    for start, end, offset in zip([0, *bounds], bounds, [0, *ends], strict=False):
        numbers = rows.numbers[:, start:end]
        numbers[0] -= offset
        yield RecentRows(numbers, rows.details[start:end])


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
