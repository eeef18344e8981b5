"""Finds the past slots that a new version of a register requires and nobody measured. Pure."""

from __future__ import annotations

import numpy as np

from services.core.model import Register, Stage
from services.indicator.calendar import Calendar
from services.indicator.register_arrays import RegisterArrays
from services.indicator.requirements import RequiredSlots
from services.indicator.shares import LinkShares, mean_share


def unmeasured_links(new: Register, old: Register, *, now: float) -> tuple[str, ...]:
    """Return the links of ``new`` that are live in slots before ``now`` in which ``old`` did not have them probed, by id.

    ``now`` is in epoch seconds. Both must have one calendar: with another one everything is counted again.
    """
    calendar = Calendar.of(new.policy)
    past = range(calendar.epoch_slot, calendar.slot_of(now))
    return tuple(name for name in sorted(new.links) if _unmeasured(name, new, old, calendar, past))


def known_share_at_most(new: Register, old: Register, *, window: int, now: float) -> float:
    """Return the highest κ that the government can have over the last ``window`` days (docs/method.md §5).

    It assumes that ``old`` measured everything that it required, and is 1 where no link is in force. ``now`` and the
    calendars are those of ``unmeasured_links``.
    """
    calendar = Calendar.of(new.policy)
    span = calendar.window(window, calendar.slot_of(now))
    arrays = RegisterArrays.of(new)
    required = (RequiredSlots.of_link(new.links[name], calendar).in_force for name in arrays.links)
    slots = np.array([len(_common(in_force, span)) for in_force in required], dtype=np.int64)
    if not slots.any():
        return 1.0
    counts = np.zeros((len(Stage), len(slots)), dtype=np.int64)
    counts[Stage.OK] = slots - [_unmeasured(name, new, old, calendar, span) for name in arrays.links]
    shares = LinkShares.of(arrays, slots, counts, np.zeros_like(slots))
    everything = np.zeros(len(slots), dtype=np.int64)
    return float(mean_share(shares, everything, shares.omega, 1).known_share[0])


def _unmeasured(name: str, new: Register, old: Register, calendar: Calendar, span: range) -> int:
    """Count the slots of a span in which a link is live in ``new`` and was not in ``old``."""
    live, before = (_live(name, register, calendar, span) for register in (new, old))
    return len(live) - len(_common(live, before))


def _live(name: str, register: Register, calendar: Calendar, span: range) -> range:
    if name not in register.links:
        return range(0)
    required = RequiredSlots.of_link(register.links[name], calendar)
    return _common(range(required.live_from, required.in_force.stop), _common(required.in_force, span))


def _common(one: range, other: range) -> range:
    return range(max(one.start, other.start), min(one.stop, other.stop))
