"""What one vantage probes, out of a register. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from services.core.model import Endpoint, Link, Probe, Register, Target
from services.indicator.calendar import Calendar
from services.indicator.requirements import probing_span
from services.prober.scheduling import ScheduleEntry

__all__ = ["Assignment", "assignments"]


@dataclass(frozen=True, slots=True)
class Assignment:
    """One link or endpoint to be probed, and by what; texts are not filled in yet.

    ``consumer`` is the agency whose shard the measurements go to; ``latency`` (τ) and ``max_age`` (φ) in seconds;
    ``zone`` is the policy's, which dates without one are read in. ``params``, of which there is at least one, take turns.
    """

    entry: ScheduleEntry
    definition: Probe
    consumer: str
    provider: str
    url: str
    params: tuple[Mapping[str, object], ...]
    latency: float
    max_age: float | None
    zone: tzinfo = UTC

    def turn(self, slot_number: int) -> int:
        """Return which of the params has its turn in a slot, counted from 0; slots are numbered from the Unix epoch on."""
        return slot_number % len(self.params)

    @property
    def target(self) -> Target:
        """The link or endpoint."""
        return self.entry.target


def assignments(register: Register, vantage: str | None) -> dict[Target, Assignment]:
    """Collect every link and endpoint that this vantage probes, now or from some day on.

    Vantage None stands for all of them. Left out are absent links and those of other vantages. A link is probed from the day it is required and live until
    the day it is required no more, by midnights in the policy's timezone: outside it, its slots are not judged by what
    is measured (docs/method.md §3).
    """
    calendar = Calendar.of(register.policy)
    zone = ZoneInfo(calendar.timezone)
    chosen = [
        _of_link(link, register, calendar, zone)
        for link in register.links.values()
        if not link.absent and _seen_from(link.vantages, vantage)
    ]
    chosen += [
        _of_endpoint(endpoint, register, zone)
        for endpoint in register.endpoints.values()
        if _seen_from(endpoint.vantages, vantage)
    ]
    return {assignment.target: assignment for assignment in chosen}


def _seen_from(vantages: tuple[str, ...], vantage: str | None) -> bool:
    return not vantages or vantage is None or vantage in vantages


def _of_link(link: Link, register: Register, calendar: Calendar, zone: ZoneInfo) -> Assignment:
    definition = register.probes[link.probe]
    active_from, active_until = probing_span(link, calendar)
    entry = ScheduleEntry(
        Target(link.id),
        definition.timeout,
        active_from=active_from,
        active_until=active_until,
    )
    return Assignment(
        entry=entry,
        definition=definition,
        consumer=register.consumer(link),
        provider=link.provider,
        url=link.target,
        params=link.params,
        latency=link.latency_ms / 1000,
        max_age=link.max_age_s,
        zone=zone,
    )


def _of_endpoint(endpoint: Endpoint, register: Register, zone: ZoneInfo) -> Assignment:
    definition = register.probes[endpoint.probe]
    return Assignment(
        entry=ScheduleEntry(Target(endpoint.id, endpoint=True), definition.timeout),
        definition=definition,
        consumer=endpoint.agency,
        provider=endpoint.agency,
        url=endpoint.target,
        params=endpoint.params,
        latency=register.policy.default_latency_ms / 1000,
        max_age=register.policy.default_max_age_s,
        zone=zone,
    )
