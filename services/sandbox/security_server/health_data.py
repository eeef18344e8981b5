"""What a security server says of the services behind it: counts and durations, without who asked (PR-OPMON, chapter 3). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from services.sandbox.security_server.operational_data import Logged, logged
from services.sandbox.exchanges.traffic import Traffic
from services.sandbox.security_server.messages import HEALTH, soap

__all__ = ["PERIOD", "health"]

PERIOD = 60
"""Seconds that are told of; real servers tell of 600."""

_SERVICE = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode")


def health(traffic: Traffic, server: int, now: int, provider: str = "") -> bytes:
    """Write the answer of a server whose clock says ``now``, in epoch seconds; of the services of ``provider`` alone,
    where it is given.

    As on real servers all services behind it are told of, also those that nobody asked lately, and each record once.
    """
    calls: dict[tuple[str, bool], list[Logged]] = {
        (route.service, route.rest): []
        for route in traffic.bus.routes
        if route.provider_server == server and route.weight > 0 and provider in ("", route.provider)
    }
    for one in logged(traffic, server, now - PERIOD, now - 1):
        key = one.exchange.route.service, one.exchange.route.rest
        if one.produced and not one.again and key in calls:
            calls[key].append(one)
    events = "".join(_events(*key, found) for key, found in sorted(calls.items()))
    began = traffic.first_slot * traffic.times.slot * 1000
    return soap(
        f"<om:{HEALTH}Response>{_element('monitoringStartupTimestamp', began)}"
        f"{_element('statisticsPeriodSeconds', PERIOD)}<om:servicesEvents>{events}</om:servicesEvents></om:{HEALTH}Response>"
    )


def _events(service: str, rest: bool, calls: list[Logged]) -> str:
    codes = service.split("/")
    names = _SERVICE if len(codes) == len(_SERVICE) else (*_SERVICE[:3], _SERVICE[4])
    named = "".join(f"<id:{name}>{escape(code)}</id:{name}>" for name, code in zip(names, codes, strict=True))
    good = [one for one in calls if one.exchange.succeeded]
    bad = [one for one in calls if not one.exchange.succeeded]
    return (
        f'<om:serviceEvents><om:service id:objectType="SERVICE">{named}</om:service>'
        f"{_last('lastSuccessfulRequestTimestamp', good)}{_last('lastUnsuccessfulRequestTimestamp', bad)}"
        f"<om:serviceType>{'REST' if rest else 'WSDL'}</om:serviceType><om:lastPeriodStatistics>"
        f"{_element('successfulRequestCount', len(good))}{_element('unsuccessfulRequestCount', len(bad))}"
        f"{''.join(_durations(good))}</om:lastPeriodStatistics></om:serviceEvents>"
    )


def _last(name: str, calls: list[Logged]) -> str:
    return _element(name, max(one.view.stamps[3] for one in calls)) if calls else ""


def _durations(calls: list[Logged]) -> Iterator[str]:
    """Yield the least, mean and greatest duration of requests that succeeded, in ms, where there are any."""
    took = [one.view.stamps[3] - one.view.stamps[0] for one in calls]
    if took:
        yield _element("requestMinDuration", min(took))
        yield _element("requestAverageDuration", sum(took) / len(took))
        yield _element("requestMaxDuration", max(took))


def _element(name: str, value: float) -> str:
    return f"<om:{name}>{value}</om:{name}>"
