"""Reads answers of getSecurityServerHealthData: counts and durations per service (X-Road PR-OPMON, chapter 3). Pure.

They name no clients, so they say nothing about links. They are exposed as metrics, and make no summaries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lxml import etree

from services.collector.records.answers import ServerAnswerError, read_envelope
from services.collector.records.fields import is_name
from services.core.model import escape_code

_PARTS = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode")
_MOST_SERVICES = 20_000


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """Requests to one X-Road service, in all its versions, within the server's last period.

    ``mean_ms`` is the mean duration in milliseconds, None when unknown.
    """

    name: str
    succeeded: int
    failed: int
    mean_ms: float | None

    def __add__(self, other: ServiceHealth) -> ServiceHealth:
        """Add the requests to another version of the service."""
        means = [
            (version.succeeded + version.failed, version.mean_ms)
            for version in (self, other)
            if version.mean_ms is not None
        ]
        requests = sum(count for count, _ in means)
        return ServiceHealth(
            self.name,
            self.succeeded + other.succeeded,
            self.failed + other.failed,
            sum(count * mean for count, mean in means) / requests if requests else None,
        )


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """The health data of a security server: its services, and the length of its period in seconds."""

    period_seconds: int
    services: tuple[ServiceHealth, ...]


def read_health(body: bytes) -> ServerHealth:
    """Read the answer. Raises ServerAnswerError, with the code of a SOAP fault."""
    root = read_envelope(body).find(".//{*}getSecurityServerHealthDataResponse")
    if root is None:
        raise ServerAnswerError("it is not an answer to getSecurityServerHealthData")
    events = root.findall("{*}servicesEvents/{*}serviceEvents")
    if len(events) > _MOST_SERVICES:
        raise ServerAnswerError(f"it holds more than {_MOST_SERVICES} services")
    period = _count(root, "statisticsPeriodSeconds")
    services: dict[str, ServiceHealth] = {}
    for version in map(_service, events):
        before = services.get(version.name)
        services[version.name] = version if before is None else before + version
    return ServerHealth(period, tuple(services.values()))


def _service(event: etree._Element) -> ServiceHealth:
    """Read one version of a service. Without statistics it had no requests in the period."""
    codes = [event.findtext(f"{{*}}service/{{*}}{name}") for name in _PARTS]
    if not (codes[0] and codes[4] and all(is_name(code) for code in codes if code is not None)):
        raise ServerAnswerError("it holds a service without a readable identifier")
    service = "/".join(escape_code(code) for code in codes if code)
    statistics = event.find("{*}lastPeriodStatistics")
    if statistics is None:
        return ServiceHealth(service, 0, 0, None)
    return ServiceHealth(
        service,
        _count(statistics, "successfulRequestCount"),
        _count(statistics, "unsuccessfulRequestCount"),
        _number(statistics, "requestAverageDuration"),
    )


def _count(element: etree._Element, name: str) -> int:
    text = (element.findtext(f"{{*}}{name}") or "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ServerAnswerError(f"{name} must be a whole number")
    return int(text)


def _number(element: etree._Element, name: str) -> float | None:
    text = element.findtext(f"{{*}}{name}")
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise ServerAnswerError(f"{name} must be a number")
    return number
