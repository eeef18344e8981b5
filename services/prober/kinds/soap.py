"""Probe kind `soap`: a SOAP message by POST (SOAP 1.1 §6, SOAP 1.2 part 2 §7). Everything else is as with http."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.core.model import Probe, fill_placeholders, fill_probe
from services.prober.environment import ProbeEnvironment
from services.prober.kinds import http

__all__ = ["as_post", "prepare"]


def prepare(
    definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment
) -> http.HttpTarget:
    """Build a target of a definition, its texts filled in from ``params``. Raises MissingSecretError and ValueError."""
    return http.http_target(as_post(fill_probe(definition, params)), fill_placeholders(target, params), environment)


def as_post(definition: Probe) -> Probe:
    """Return the definition, its texts filled in, as one of a POST; headers of its own go before those of SOAP."""
    given = {name.lower() for name in definition.headers}
    headers = {name: value for name, value in _headers(definition).items() if name.lower() not in given}
    return replace(definition, method="POST", headers=headers | dict(definition.headers))


def _headers(definition: Probe) -> dict[str, str]:
    action = f'"{definition.action}"'
    if definition.soap == "1.1":
        return {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": action}
    parameter = f"; action={action}" if definition.action else ""
    return {"Content-Type": f"application/soap+xml; charset=utf-8{parameter}"}
