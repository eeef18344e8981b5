"""Makes the plan of what one vantage probes, from a register. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from services.core.errors import SettingsError
from services.core.model import Endpoint, Link, Probe, Proxy, Register, Target
from services.indicator.calendar import Calendar
from services.indicator.requirements import probing_span
from services.prober.scheduling import Rendezvous, ScheduleEntry

_WITHOUT_PROXY = frozenset({"grpc", "tcp", "dns", "journey"})  # a journey's steps may have one


@dataclass(frozen=True, slots=True)
class Assignment:
    """A link or endpoint to probe and its definition, whose placeholders are not filled in yet.

    ``latency`` (τ) and ``max_age`` (φ) are in seconds. Dates without a time zone are in ``zone``, the policy's.
    ``params`` has at least one element; slots use its elements in turn.
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
        """Return the index of the params that a slot uses. Slots are numbered from the Unix epoch."""
        return slot_number % len(self.params)

    @property
    def target(self) -> Target:
        """The link or endpoint."""
        return self.entry.target


@dataclass(frozen=True, slots=True)
class Origin:
    """The prober that measures, and the register that it uses."""

    vantage: str
    prober: str
    register_version: str
    probe_version: str


@dataclass(frozen=True, slots=True)
class ProbingPlan:
    """Everything that one vantage probes by one register.

    ``longest_timeout`` is the longest of all definitions, in seconds. ``turns`` is the largest number of params of an
    assignment. ``control_proxy`` is the proxy for control targets, if any. Nothing is probed before ``epoch`` (epoch
    seconds). At national size a plan takes 0.1 s to make, so it is not made in the event loop.
    """

    origin: Origin
    slot_seconds: int
    assignments: dict[Target, Assignment]
    targets: Rendezvous
    control_targets: tuple[str, ...]
    control_names: tuple[str, ...]
    control_proxy: Proxy
    longest_timeout: float
    turns: int
    epoch: float


def plan_of(register: Register, vantage: str, prober: str) -> ProbingPlan:
    """Return the plan for a prober of a vantage. Raises SettingsError when the policy does not have the vantage."""
    vantages = {item.id: item for item in register.policy.vantages}
    if vantage not in vantages:
        raise SettingsError(
            f"vantage {vantage} is not in the register's policy; choose with --vantage from: {', '.join(vantages)}"
        )
    assigned = assignments(register, vantage)
    return ProbingPlan(
        origin=Origin(vantage, prober, register.register_version, register.probe_version),
        slot_seconds=register.policy.slot_seconds,
        assignments=assigned,
        targets=Rendezvous(assignment.entry for assignment in assigned.values()),
        control_targets=vantages[vantage].control_targets,
        control_names=vantages[vantage].control_names,
        control_proxy=_only_proxy(assigned.values()),
        longest_timeout=max((probe.timeout for probe in register.probes.values()), default=0.0),
        turns=max((len(assignment.params) for assignment in assigned.values()), default=1),
        epoch=Calendar.of(register.policy).epoch,
    )


def _only_proxy(assigned: Iterable[Assignment]) -> Proxy:
    """Return the proxy that all probes use whose kind can have one, for control targets (ADR 79).

    Without such a proxy, control targets are connected to directly.
    """
    proxies = {
        probe.proxy
        for item in assigned
        for probe in (item.definition, *(step.probe for step in item.definition.steps))
        if probe.kind not in _WITHOUT_PROXY
    }
    return proxies.pop() if len(proxies) == 1 else Proxy()


def assignments(register: Register, vantage: str | None) -> dict[Target, Assignment]:
    """Return all links and endpoints that this vantage probes, now or from a later day; those of all vantages for None.

    Absent links are left out. A link is probed from the day when it is both required and live until the day when it is
    no longer required. Days start at midnight in the policy's timezone. Outside these days no measurement decides a
    slot of the link (docs/method.md §3). Nothing is probed before the policy's epoch, because no window has such slots.
    """
    calendar = Calendar.of(register.policy)
    zone = ZoneInfo(calendar.timezone)
    links = [
        _of_link(link, register, calendar, zone)
        for link in register.links.values()
        if not link.absent and _is_seen_from(link.vantages, vantage)
    ]
    endpoints = [
        _of_endpoint(endpoint, register, calendar, zone)
        for endpoint in register.endpoints.values()
        if _is_seen_from(endpoint.vantages, vantage)
    ]
    return {assignment.target: assignment for assignment in links + endpoints}


def _is_seen_from(vantages: tuple[str, ...], vantage: str | None) -> bool:
    return not vantages or vantage is None or vantage in vantages


def _of_link(link: Link, register: Register, calendar: Calendar, zone: ZoneInfo) -> Assignment:
    definition = register.probes[link.probe]
    return Assignment(
        entry=ScheduleEntry(Target(link.id), definition.timeout, *probing_span(link, calendar)),
        definition=definition,
        consumer=register.consumer(link),
        provider=link.provider,
        url=link.target,
        params=link.params,
        latency=link.latency_ms / 1000,
        max_age=link.max_age_s,
        zone=zone,
    )


def _of_endpoint(endpoint: Endpoint, register: Register, calendar: Calendar, zone: ZoneInfo) -> Assignment:
    definition = register.probes[endpoint.probe]
    return Assignment(
        entry=ScheduleEntry(Target(endpoint.id, endpoint=True), definition.timeout, *probing_span(endpoint, calendar)),
        definition=definition,
        consumer=endpoint.agency,
        provider=endpoint.agency,
        url=endpoint.target,
        params=endpoint.params,
        latency=(endpoint.latency_ms or register.policy.default_latency_ms) / 1000,
        max_age=register.policy.default_max_age_s,
        zone=zone,
    )
