"""The position up to which a stream of the bus was read, as states record it and reading resumes from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """How far a stream has been read: its name, when it was created, and the last sequence read."""

    stream: str
    created: str
    sequence: int
