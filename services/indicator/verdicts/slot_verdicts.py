"""The verdicts of a slot, compressed."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import compress, decompress

import numpy as np

from services.indicator.verdicts.judge import JudgedSlot

__all__ = ["SlotVerdicts"]

_FAST = 1


@dataclass(frozen=True, slots=True)
class SlotVerdicts:
    """One slot of an open day as it was counted, compressed: most of its verdicts are equal."""

    columns: bytes
    up: bytes
    down: bytes

    @classmethod
    def pack(cls, judged: JudgedSlot) -> SlotVerdicts:
        """Pack a judged slot."""
        return cls(*(compress(part.tobytes(), _FAST) for part in (judged.verdict, judged.up, judged.down)))

    def unpack(self) -> JudgedSlot:
        """Return the judged slot."""
        return JudgedSlot(
            verdict=np.frombuffer(decompress(self.columns), dtype=np.int8),
            up=np.frombuffer(decompress(self.up), dtype=np.bool_),
            down=np.frombuffer(decompress(self.down), dtype=np.bool_),
        )
