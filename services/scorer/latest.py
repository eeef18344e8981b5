"""What was last measured, as blocks of KV bucket ``indicator``, and how a scorer that starts again remembers by them.

No file holds it: whoever starts reads its own last publication back, then the measurements that came after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

import numpy as np

from services.core.bus import Bus, subjects
from services.core.codec import KeptBlock, RecentBlock, decode_recent
from services.core.errors import TornValueError
from services.core.evidence import Kind
from services.indicator.burn import Burns
from services.indicator.frame import Frame
from services.indicator.recent import Recent, batches
from services.scorer.batches import columns_of
from services.scorer.blocks import GOVERNMENT
from services.scorer.membership import Members

__all__ = ["LATEST", "latest_blocks", "latest_key", "recall"]

LATEST = "latest.>"
"""Every key of these blocks."""

PART = 512
"""Targets in one block, so that even with every failure's detail it stays below the bus's limit of 1 MiB."""


def latest_key(agency: str, part: int) -> str:
    """Return the key of one part of an agency's block."""
    return f"latest.{agency}.{part}"


def latest_blocks(
    recent: Recent, burns: Burns, frame: Frame, members: Mapping[str, Members]
) -> Iterator[tuple[str, RecentBlock]]:
    """Cut what was last measured of the frame's targets into blocks of PART targets per agency."""
    columns = recent.columns_of(frame.targets)
    for agency, own in members.items():
        links = len(own.links)
        for start in range(0, len(own.target_rows), PART):
            part = slice(start, start + PART)
            here = columns[own.target_rows[part]]
            counted = own.rows[Kind.LINK][part]
            yield (
                latest_key(agency, start // PART),
                RecentBlock(
                    links=own.links[part],
                    endpoints=own.endpoints[max(0, start - links) : max(0, start + PART - links)],
                    vantages=tuple(recent.vantages),
                    latest=recent.latest(here),
                    failures=recent.failures(here),
                    burn_known=burns.known[:, counted].astype(np.int64),
                    burn_failed=burns.failed[:, counted].astype(np.int64),
                ),
            )


async def recall(bus: Bus, recent: Recent, last: int) -> int:
    """Take in what was published last, then the measurements stored after that, up to message ``last`` of MEASUREMENTS.

    Returns how many messages were read again. What cannot be read is left out: the next slot measures again. Raises
    BusError.
    """
    for payload in (await bus.kv_all(subjects.INDICATOR, LATEST)).values():
        with suppress(ValueError):
            block = decode_recent(payload)
            for rows in (block.latest, block.failures):
                for batch in batches(rows, block.targets, block.vantages):
                    recent.take(batch)
    sequence, read = await _published(bus, last), 0
    while sequence < last:
        messages = await bus.read(subjects.MEASUREMENTS, sequence + 1, limit=min(500, last - sequence))
        for message in messages:
            with suppress(ValueError):
                recent.take(columns_of(message))
        if not messages:
            break
        sequence, read = messages[-1].sequence, read + len(messages)
    return read


async def _published(bus: Bus, last: int) -> int:
    """Up to which message everything published was computed; ``last`` when nothing was."""
    # The government's block is put last, so all others hold at least what it was computed from.
    with suppress(ValueError, TornValueError):
        payload = await bus.kv_get(subjects.INDICATOR, GOVERNMENT)
        if payload is not None:
            return KeptBlock.of(payload).evidence_sequence
    return last
