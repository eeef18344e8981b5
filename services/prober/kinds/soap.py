"""Probe kind `soap`: a SOAP message by POST (SOAP 1.1 §6, SOAP 1.2 part 2 §7). Everything else is as for http."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.core.model import Probe, fill_placeholders, fill_probe
from services.prober.environment import ProbeEnvironment
from services.prober.kinds.http_target import HttpTarget, build_http_target


def prepare(definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment) -> HttpTarget:
    """Build a target of a definition, its texts filled in from ``params``. Raises MissingSecretError and ValueError."""
    return build_http_target(as_post(fill_probe(definition, params)), fill_placeholders(target, params), environment)


def as_post(definition: Probe) -> Probe:
    """Return a definition whose texts are filled in as one of a POST. Its own headers take precedence over those of SOAP."""
    names = {name.lower() for name in definition.headers}
    headers = {name: value for name, value in _headers(definition).items() if name.lower() not in names}
    return replace(definition, method="POST", headers=headers | dict(definition.headers))


def _headers(definition: Probe) -> dict[str, str]:
    action = f'"{definition.action}"'
    if definition.soap == "1.1":
        return {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": action}
    parameter = f"; action={action}" if definition.action else ""
    return {"Content-Type": f"application/soap+xml; charset=utf-8{parameter}"}
