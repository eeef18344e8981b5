"""The health of Peyvand itself as values: how well it measures and reads. Names vantages and streams, but no target."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.model.outcome import Outcome, Reason

OWN_REASONS = tuple(
    reason for reason in Reason if reason.outcome is Outcome.UNKNOWN and reason is not Reason.NO_MEASUREMENT
)
"""The monitor's own reasons: a measurement with one of them arrived, but says nothing about its target."""


@dataclass(frozen=True, slots=True)
class VantageHealth:
    """The measurements expected of one vantage over some slots, and those that it delivered.

    ``expected`` counts one for each of its live targets in each slot, ``delivered`` those that arrived. ``unknown``
    counts the delivered ones by each of OWN_REASONS that occurred, None being one that only a newer version knows.
    ``newest_slot`` is the start of the newest slot that it measured, in epoch seconds, None where none is known.
    """

    vantage: str
    expected: int
    delivered: int
    unknown: tuple[tuple[Reason | None, int], ...]
    newest_slot: int | None


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """One stream or bucket: its content, and what the scorer noticed about it.

    ``limit_bytes`` is 0 without a limit. ``behind`` counts the messages that the scorer has not read yet, None where it
    keeps no such count. ``lost`` counts those that disappeared before their age. ``gaps_accepted`` is how often the
    scorer continued past missing messages.
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

    Times are epoch seconds. A measurement is ``late`` when it came after the grace of its slot, and ``refused`` for a
    wrong slot, time or target. A message that cannot be read is ``rejected``. ``batches_missing`` counts batches of
    probers that have not come although later ones have. ``batches_broken`` counts batches that name a different
    previous batch than the one that came, or that came again with other content.
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
