"""Decides where a captured value may lead a step of a journey, and where our credentials may go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import httpx

from services.core.model import Step, fill_placeholders
from services.register.reading import read_target

Origin = tuple[str, str, int | None]
"""Scheme, host and port. The port is None if it is the scheme's own."""


def named_origins(step: Step, params: Mapping[str, object], captured: Iterable[str]) -> frozenset[Origin]:
    """Return the origins that the register names for a step, whatever values are ``captured``.

    They are those under ``origins``, that of the journey's target (which is among the params), and that of the step's
    own target if no captured value can change it.
    """
    own = {
        _origin(fill_placeholders(step.target, {**params, **dict.fromkeys(captured, value)})) for value in ("0", "1")
    }
    named = {_origin(text) for text in (str(params["target"]), *step.origins)}
    return frozenset(origin for origin in (named | own if len(own) == 1 else named) if origin is not None)


def check_target(step: Step, target: str, named: frozenset[Origin]) -> str:
    """Check a filled target. Return why our credentials may not go there, empty if they may or there are none.

    Raises ValueError when the step's kind cannot probe the target.
    """
    try:
        url = str(httpx.URL(target))  # encodes spaces in a path and the like, which are no fault
    except httpx.InvalidURL as error:
        raise ValueError("the target is not a URL") from error
    read_target(url, step.probe.kind)
    has_credentials = step.probe.auth.kind != "none" or bool(step.probe.tls.certificate)
    if has_credentials and _origin(url) not in named:
        return f"step {step.probe.name} would send credentials to an origin that only an answer names"
    return ""


def _origin(url: str) -> Origin | None:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return None
    return (parts.scheme, parts.host, parts.port) if parts.host else None
