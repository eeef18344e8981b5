"""How far a stream of the bus was read: what states record, and what reading goes on from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """How far a stream has been taken in: its name, when it was created, the last sequence."""

    stream: str
    created: str
    sequence: int
