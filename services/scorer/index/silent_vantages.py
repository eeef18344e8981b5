"""The vantages that the scorer has to hear from, and up to when it has heard from each. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from services.core.model import Register
from services.indicator.calendar import Calendar
from services.indicator.requirements import probing_span

__all__ = ["ProbingSpans", "VantageWatch", "probing_spans"]

ProbingSpans = Mapping[str, frozenset[tuple[float, float]]]
"""Spans from when until when (epoch seconds) a vantage has something to probe; one that never has is not in it."""


def probing_spans(register: Register) -> ProbingSpans:
    """Read of a register which vantages have to measure. Days begin by the policy's timezone."""
    calendar = Calendar.of(register.policy)
    every = tuple(vantage.id for vantage in register.policy.vantages)
    wanted = {
        (link.vantages or every, probing_span(link, calendar)) for link in register.links.values() if not link.absent
    }
    always = float("-inf"), float("inf")
    wanted |= {(endpoint.vantages or every, always) for endpoint in register.endpoints.values()}
    found: dict[str, set[tuple[float, float]]] = {}
    for vantages, span in wanted:
        for vantage in vantages:
            found.setdefault(vantage, set()).add(span)
    return {vantage: frozenset(spans) for vantage, spans in found.items()}


class VantageWatch:
    """How long each vantage has been waited for; a new one, or one that comes back into the register, from then on."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def newest(self, expected: ProbingSpans, heard: Mapping[str, float], now: float) -> dict[str, float]:
        """Return per vantage that has to measure ``now`` the start of the newest slot ``heard`` of, or since when it has
        been waited for, where that is later; in epoch seconds.
        """
        self._since = {
            vantage: self._since.get(vantage, now)
            for vantage, spans in expected.items()
            if any(begins <= now < ends for begins, ends in spans)
        }
        return {vantage: max(since, heard.get(vantage, since)) for vantage, since in self._since.items()}
