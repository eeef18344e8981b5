"""When a link is in force and when it is live: the rule of docs/method.md §3, for one link and for all of a register.

A link is in force on the days from ``required_from`` up to but not including ``required_until``, and live from ``live_from``
on. A link that is in force and not live is a known zero, whatever was measured. Days begin at midnight in the policy's
timezone, and a slot belongs to a day by its start. An endpoint is in force and live in every slot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Self

import numpy as np

from services.core.model import ALWAYS, Endpoint, Link, Register
from services.indicator.array_types import Bools, Ints
from services.indicator.calendar import Calendar

NEVER: Final = date.max.toordinal() + 1
"""A day ordinal after every day: ``required_until`` of an open link, ``live_from`` of an absent one."""

FOREVER: Final = 1 << 62
"""A slot after every slot."""


@dataclass(frozen=True, slots=True, eq=False)
class RequiredDays:
    """The days of n links as ordinals, (n,) each: in force on [``start``, ``stop``), live from ``live_from`` on."""

    start: Ints
    stop: Ints
    live_from: Ints

    @classmethod
    def of(cls, links: Sequence[Link]) -> Self:
        """Read the dates of links."""
        return cls(
            start=_ordinals((link.required_from for link in links), unset=0),
            stop=_ordinals((link.required_until for link in links), unset=NEVER),
            live_from=_ordinals((link.live_from for link in links), unset=NEVER),
        )

    def in_force(self, day: int) -> Bools:
        """Return which links are in force on a day, given as an ordinal."""
        return np.asarray((self.start <= day) & (day < self.stop))

    def live(self, day: int) -> Bools:
        """Return which links are in force and live on a day, given as an ordinal."""
        return np.asarray(self.in_force(day) & (self.live_from <= day))

    def live_throughout(self, days: range) -> Bools:
        """Return which links are in force and live on each of these days."""
        return np.asarray((np.maximum(self.live_from, self.start) <= days.start) & (self.stop >= days.stop))

    def slots_on_paper(self, days: Sequence[int], slots: Sequence[int]) -> Ints:
        """Count each link's slots in force before it was live, given ascending ``days`` and how many ``slots`` each has."""
        before = np.cumsum([0, *slots])
        start = np.searchsorted(days, self.start)
        stop = np.searchsorted(days, np.minimum(self.stop, self.live_from))
        return np.asarray(before[np.maximum(start, stop)] - before[start])

    def paper_in(self, calendar: Calendar, span: range) -> Ints:
        """Count each link's slots in force before it was live, among the slots of a span."""
        days = list(calendar.days(span))
        return self.slots_on_paper([day.toordinal() for day, _ in days], [len(slots) for _, slots in days])

    def changes(self) -> Ints:
        """Return the days, ascending, on which any link comes into force, goes out of it or becomes live."""
        return np.unique(np.concatenate([self.start, self.stop, self.live_from]))


def has_index(register: Register, calendar: Calendar, days: int, moment: float) -> bool:
    """Return whether a link that weighs anything is in force in the window of ``days`` that ends at a moment.

    The moment is in epoch seconds. Before the end of the first slot, that slot counts.
    """
    span = calendar.window(days, max(calendar.slot_of(moment), calendar.epoch_slot + 1))
    first, last = calendar.day_of(span.start), calendar.day_of(span[-1])
    return any(
        (link.required_from is None or link.required_from <= last)
        and (link.required_until is None or link.required_until > first)
        and link.weight > 0
        and register.services[link.service].weight > 0
        for link in register.links.values()
    )


@dataclass(frozen=True, slots=True)
class RequiredSlots:
    """The slots of one target: those in which it is ``in_force``, and the first in which it is live."""

    in_force: range
    live_from: int

    @classmethod
    def of_link(cls, link: Link, calendar: Calendar) -> RequiredSlots:
        """Return the slots of a link, from the epoch on."""
        start = calendar.epoch_slot
        if link.required_from is not None:
            start = max(start, calendar.first_slot(link.required_from))
        stop = FOREVER if link.required_until is None else calendar.first_slot(link.required_until)
        if link.live_from is None:
            return cls(range(start, stop), FOREVER)
        return cls(range(start, stop), start if link.live_from == ALWAYS else calendar.first_slot(link.live_from))

    @classmethod
    def of_endpoint(cls, calendar: Calendar) -> RequiredSlots:
        """Return the slots of an endpoint: all from the epoch on."""
        return cls(range(calendar.epoch_slot, FOREVER), calendar.epoch_slot)


def probing_span(target: Link | Endpoint, calendar: Calendar) -> tuple[float, float]:
    """Return the span [from, until) in which probes of a target count, in epoch seconds, infinite where open.

    It begins at the epoch at the earliest. The span of an absent link is empty: it begins at infinity.
    """
    if isinstance(target, Endpoint):
        return calendar.epoch, float("inf")
    if target.live_from is None:
        return float("inf"), float("inf")
    start = max(calendar.epoch, *(_midnight(day, calendar) for day in (target.required_from, target.live_from)))
    return start, float("inf") if target.required_until is None else float(calendar.midnight(target.required_until))


def _midnight(day: date | None, calendar: Calendar) -> float:
    # In some timezones, midnight of the first of all days has no value in epoch seconds.
    return float("-inf") if day is None or day == ALWAYS else float(calendar.midnight(day))


def _ordinals(days: Iterable[date | None], *, unset: int) -> Ints:
    return np.array([unset if day is None else day.toordinal() for day in days], dtype=np.int64)
