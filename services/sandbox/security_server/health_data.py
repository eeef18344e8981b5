"""Makes a security server's health data: service counts and durations, without clients (PR-OPMON, chapter 3). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from services.sandbox.exchanges import SimulatedTraffic
from services.sandbox.security_server.messages import HEALTH, PARTS, soap_message, write_codes
from services.sandbox.security_server.operational_data import LogEntry, log_entries

PERIOD = 60
"""Seconds that the counts cover; 600 on real servers."""


def health_answer(traffic: SimulatedTraffic, server: int, now: int, provider: str = "") -> bytes:
    """Return a server's answer at ``now`` by its clock, in epoch seconds; only for ``provider``'s services if given.

    As on real servers, it lists all services behind it, also those without recent calls, and counts each record once.
    """
    calls: dict[tuple[str, bool], list[LogEntry]] = {
        (route.service, route.rest): []
        for route in traffic.bus.routes
        if route.provider_server == server and route.weight > 0 and provider in ("", route.provider)
    }
    for entry in log_entries(traffic, server, now - PERIOD, now - 1):
        key = entry.exchange.route.service, entry.exchange.route.rest
        if entry.produced and not entry.repeated and key in calls:
            calls[key].append(entry)
    events = "".join(_events(*key, entries) for key, entries in sorted(calls.items()))
    started = traffic.first_slot * traffic.times.slot * 1000
    return soap_message(
        f"<om:{HEALTH}Response>{_element('monitoringStartupTimestamp', started)}"
        f"{_element('statisticsPeriodSeconds', PERIOD)}<om:servicesEvents>{events}</om:servicesEvents></om:{HEALTH}Response>"
    )


def _events(service: str, rest: bool, calls: list[LogEntry]) -> str:
    codes = service.split("/")
    identifier = write_codes(codes, PARTS if len(codes) == len(PARTS) else (*PARTS[:3], PARTS[4]))
    succeeded = [call for call in calls if call.exchange.succeeded]
    failed = [call for call in calls if not call.exchange.succeeded]
    return (
        f'<om:serviceEvents><om:service id:objectType="SERVICE">{identifier}</om:service>'
        f"{_last('lastSuccessfulRequestTimestamp', succeeded)}{_last('lastUnsuccessfulRequestTimestamp', failed)}"
        f"<om:serviceType>{'REST' if rest else 'WSDL'}</om:serviceType><om:lastPeriodStatistics>"
        f"{_element('successfulRequestCount', len(succeeded))}{_element('unsuccessfulRequestCount', len(failed))}"
        f"{''.join(_durations(succeeded))}</om:lastPeriodStatistics></om:serviceEvents>"
    )


def _last(name: str, calls: list[LogEntry]) -> str:
    return _element(name, max(call.side.stamps[3] for call in calls)) if calls else ""


def _durations(calls: list[LogEntry]) -> Iterator[str]:
    """Yield the least, mean and greatest duration of calls, in ms, where there are any."""
    durations = [call.side.stamps[3] - call.side.stamps[0] for call in calls]
    if durations:
        yield _element("requestMinDuration", min(durations))
        yield _element("requestAverageDuration", sum(durations) / len(durations))
        yield _element("requestMaxDuration", max(durations))


def _element(name: str, value: float) -> str:
    return f"<om:{name}>{value}</om:{name}>"
