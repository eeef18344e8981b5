"""How well Peyvand itself measures and reads. It names vantages and streams, and no target."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.model.outcome import Outcome, Reason

OWN_REASONS = tuple(
    reason for reason in Reason if reason.outcome is Outcome.UNKNOWN and reason is not Reason.NO_MEASUREMENT
)
"""Why a measurement that arrived says nothing of its target: reasons of the monitor's own."""


@dataclass(frozen=True, slots=True)
class VantageHealth:
    """What one vantage was to measure over some slots, and what it did.

    ``expected`` has one for each of its live targets in each slot, ``delivered`` those that arrived, ``unknown`` of these
    the ones by OWN_REASONS, where there are any. ``newest_slot`` is the start of the newest slot that it measured, in epoch
    seconds, None where nothing is known of any.
    """

    vantage: str
    expected: int
    delivered: int
    unknown: tuple[tuple[Reason, int], ...]
    newest_slot: int | None


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """One stream or bucket: what it holds, and what the scorer noticed of it.

    ``limit_bytes`` is 0 without a limit. ``behind`` are the messages not taken in yet, None for what the scorer does not
    read so; ``lost`` those that went before their age; ``gaps_accepted`` is how often it read on past missing ones.
    """

    stream: str
    messages: int
    bytes: int
    limit_bytes: int
    last_sequence: int
    behind: int | None
    lost: int
    gaps_accepted: int


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Vantages over the slots [``slots_from``, ``slots_to``), and what the scorer counted since it started at ``since``.

    Times are epoch seconds. Measurements are ``late`` after the grace of their slot, and ``refused`` for a wrong slot, time or target;
    messages are ``rejected`` that cannot be read. Of the batches of probers, some are ``batches_missing`` though later ones came, and some
    ``batches_broken``, which name another one before them than came, or came again with other content.
    """

    slots_from: int
    slots_to: int
    vantages: tuple[VantageHealth, ...]
    streams: tuple[StreamHealth, ...]
    since: int
    late: int
    refused: int
    rejected: int
    batches_missing: int = 0
    batches_broken: int = 0
