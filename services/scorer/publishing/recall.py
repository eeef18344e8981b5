"""How a scorer that starts again remembers what was last measured: by what it published, and what came after that.

No file holds it (ADR 26).
"""

from __future__ import annotations

from contextlib import suppress

from services.core.blocks import decode_recent
from services.core.bus import INDICATOR, MEASUREMENTS, Bus, recent_key
from services.indicator.cells import Recent, batches
from services.scorer.decode import columns_of

__all__ = ["recall"]


async def recall(bus: Bus, recent: Recent, last: int) -> int:
    """Take in what was published last, then the measurements stored since, up to message ``last`` of MEASUREMENTS.

    Returns how many messages were read again. What cannot be read is left out: the next slot measures again. Raises
    BusError.
    """
    sequence, read = last, 0
    for payload in (await bus.kv_all(INDICATOR, recent_key("*", "*"))).values():
        with suppress(ValueError):
            block = decode_recent(payload)
            # Each block holds at least what had come up to its own message; not all are put with every index.
            sequence = min(sequence, block.evidence_sequence)
            for rows in (block.latest, block.failures):
                for batch in batches(rows, block.targets, block.vantages):
                    recent.take(batch)
    while sequence < last:
        messages = await bus.read(MEASUREMENTS, sequence + 1, limit=min(500, last - sequence))
        for message in messages:
            with suppress(ValueError):
                recent.take(columns_of(message))
        if not messages:
            break
        sequence, read = messages[-1].sequence, read + len(messages)
    return read
