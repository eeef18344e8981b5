"""The answer of getSecurityServerHealthData: counts and durations per service, without who asked (PR-OPMON, chapter 3).

Pure. It tells nothing of consumers, so no link can be made of it: it is shown as what it is, beside the summaries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lxml import etree

from services.collector.records.answers import ServerAnswerError, read_envelope
from services.collector.records.fields import is_name
from services.core.model import escape_code

__all__ = ["ServerHealth", "ServiceHealth", "read_health"]

_PARTS = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode")
_MOST_SERVICES = 20_000


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """Requests of one X-Road service, in all its versions, within the server's last period; the mean duration in ms, None
    when unknown.
    """

    service: str
    succeeded: int
    failed: int
    mean_ms: float | None

    def __add__(self, other: ServiceHealth) -> ServiceHealth:
        """With the requests of another version of the service."""
        known = [(one.succeeded + one.failed, one.mean_ms) for one in (self, other) if one.mean_ms is not None]
        requests = sum(count for count, _ in known)
        return ServiceHealth(
            self.service,
            self.succeeded + other.succeeded,
            self.failed + other.failed,
            sum(count * mean for count, mean in known) / requests if requests else None,
        )


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """What a security server says of the services behind it; the period in seconds."""

    period_seconds: int
    services: tuple[ServiceHealth, ...]


def read_health(body: bytes) -> ServerHealth:
    """Read the answer. Raises AnswerError, with the code of a SOAP fault."""
    root = read_envelope(body).find(".//{*}getSecurityServerHealthDataResponse")
    if root is None:
        raise ServerAnswerError("it is not an answer to getSecurityServerHealthData")
    events = root.findall("{*}servicesEvents/{*}serviceEvents")
    if len(events) > _MOST_SERVICES:
        raise ServerAnswerError(f"it tells of more than {_MOST_SERVICES} services")
    period = _count(root, "statisticsPeriodSeconds")
    services: dict[str, ServiceHealth] = {}
    for one in map(_service, events):
        services[one.service] = services[one.service] + one if one.service in services else one
    return ServerHealth(period, tuple(services.values()))


def _service(event: etree._Element) -> ServiceHealth:
    """Read what is told of one version of a service; without statistics it was not asked in the period."""
    codes = [event.findtext(f"{{*}}service/{{*}}{name}") for name in _PARTS]
    if not (codes[0] and codes[4] and all(is_name(code) for code in codes if code is not None)):
        raise ServerAnswerError("it tells of a service without a readable identifier")
    service = "/".join(escape_code(code) for code in codes if code)
    told = event.find("{*}lastPeriodStatistics")
    if told is None:
        return ServiceHealth(service, 0, 0, None)
    return ServiceHealth(
        service,
        _count(told, "successfulRequestCount"),
        _count(told, "unsuccessfulRequestCount"),
        _number(told, "requestAverageDuration"),
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
