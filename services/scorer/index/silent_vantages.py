"""The vantages that the scorer has to hear from, and up to when it has heard from each. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from services.core.model import ALWAYS, Register
from services.indicator.calendar import Calendar

__all__ = ["Duties", "Vantages", "duties"]

Duties = Mapping[str, frozenset[tuple[float, float]]]
"""Spans from when until when (epoch seconds) a vantage has something to probe; one that never has is not in it."""


def duties(register: Register) -> Duties:
    """Read of a register which vantages have to measure. Days begin by the policy's timezone."""
    calendar = Calendar.of(register.policy)
    every = tuple(vantage.id for vantage in register.policy.vantages)
    wanted = {
        (link.vantages or every, link.required_from, link.live_from, link.required_until)
        for link in register.links.values()
        if not link.absent
    }
    wanted |= {(endpoint.vantages or every, None, None, None) for endpoint in register.endpoints.values()}
    found: dict[str, set[tuple[float, float]]] = {}
    for vantages, required_from, live_from, required_until in wanted:
        begins = max(_midnight(calendar, day) for day in (required_from, live_from))
        ends = float("inf") if required_until is None else float(calendar.midnight(required_until))
        for vantage in vantages:
            found.setdefault(vantage, set()).add((begins, ends))
    return {vantage: frozenset(spans) for vantage, spans in found.items()}


class Vantages:
    """How long each vantage has been waited for; a new one, or one that comes back into the register, from then on."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def newest(self, expected: Duties, heard: Mapping[str, float], now: float) -> dict[str, float]:
        """Return per vantage that has to measure ``now`` the start of the newest slot ``heard`` of, or since when it has
        been waited for, where that is later; in epoch seconds.
        """
        self._since = {
            vantage: self._since.get(vantage, now)
            for vantage, spans in expected.items()
            if any(begins <= now < ends for begins, ends in spans)
        }
        return {vantage: max(since, heard.get(vantage, since)) for vantage, since in self._since.items()}


def _midnight(calendar: Calendar, day: date | None) -> float:
    return float("-inf") if day is None or day == ALWAYS else float(calendar.midnight(day))
