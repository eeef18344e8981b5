"""Finds which vantages should have measured, and up to when each has. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from services.core.model import Endpoint, Link, Register
from services.indicator.calendar import Calendar
from services.indicator.requirements import probing_span

ProbingSpans = Mapping[str, frozenset[tuple[float, float]]]
"""By vantage: the spans (epoch seconds) in which it has something to probe. Vantages that never have are left out."""


def probing_spans(register: Register) -> ProbingSpans:
    """Return when each vantage of a register has something to probe. Days begin in the policy's timezone."""
    calendar = Calendar.of(register.policy)
    all_vantages = tuple(vantage.id for vantage in register.policy.vantages)
    probed: list[Link | Endpoint] = [link for link in register.links.values() if not link.absent]
    probed += register.endpoints.values()
    wanted = {(target.vantages or all_vantages, probing_span(target, calendar)) for target in probed}
    spans: dict[str, set[tuple[float, float]]] = {}
    for vantages, span in wanted:
        for vantage in vantages:
            spans.setdefault(vantage, set()).add(span)
    return {vantage: frozenset(own) for vantage, own in spans.items()}


class VantageWatch:
    """Since when each vantage is expected to measure. A new or returning vantage is expected from its first look on."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def newest(self, expected: ProbingSpans, newest_slots: Mapping[str, float], now: float) -> dict[str, float]:
        """Return, by vantage that has to measure ``now``, the start of its newest slot or since when it is expected.

        The later of the two counts. Both are in epoch seconds.
        """
        self._since = {
            vantage: self._since.get(vantage, now)
            for vantage, spans in expected.items()
            if any(begins <= now < ends for begins, ends in spans)
        }
        return {vantage: max(since, newest_slots.get(vantage, since)) for vantage, since in self._since.items()}
