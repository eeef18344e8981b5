"""Checks of HTTP answers: status, headers, body patterns. Pure."""

from __future__ import annotations

from services.core.model import Reason
from services.prober.checks.check_failed import CheckFailedError
from services.prober.checks.document import Document
from services.prober.expected import Expectations
from services.prober.observation import Observation


def check_bus(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check that the provider answered, and not the data bus in its place."""
    if expectations.bus and any(name == "x-road-error" for name, _ in observation.headers):
        raise CheckFailedError(Reason.BUS_ERROR, "the data bus answered in the provider's place with X-Road-Error")


def check_refused(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check that the target itself answered, neither with a server error nor with a refusal."""
    status = observation.status
    if status in expectations.status:
        return
    if status >= 500:
        raise CheckFailedError(Reason.SERVER_ERROR, f"status {status}")
    if status in {401, 403}:
        raise CheckFailedError(Reason.AUTH_REFUSED, f"status {status}")


def check_status(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check that the status is one of those listed, or 2xx."""
    status = observation.status
    if not status:  # not every kind of probe has one
        return
    if expectations.status:
        if status not in expectations.status:
            listed = ", ".join(str(code) for code in sorted(expectations.status))
            raise CheckFailedError(Reason.STATUS, f"status {status} instead of {listed}")
    elif not 200 <= status < 300:
        raise CheckFailedError(Reason.STATUS, f"status {status} instead of 2xx")


def check_secure(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check that the answer came over TLS where that is required."""
    if expectations.tls and not observation.tls_version:
        raise CheckFailedError(Reason.NOT_SECURE, "the answer came without TLS")


def check_headers(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check each expected header: whether it is there, and what its values match."""
    for check in expectations.headers:
        values = [value.encode() for name, value in observation.headers if name == check.name]
        if not values and not check.optional:
            raise CheckFailedError(Reason.HEADER, f"header {check.name} is absent")
        if values and check.must and not any(map(check.must.matches, values)):
            raise CheckFailedError(Reason.HEADER, f"header {check.name} does not match {check.must.text}")
        if check.must_not and any(map(check.must_not.matches, values)):
            raise CheckFailedError(Reason.HEADER, f"header {check.name} matches the forbidden {check.must_not.text}")


def check_body(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check that the body matches every required pattern and none that is forbidden."""
    if not expectations.must and not expectations.must_not:
        return
    body = _valid_utf8(observation.body)
    for pattern in expectations.must_not:
        if pattern.matches(body):
            raise CheckFailedError(Reason.BODY, f"the body matches the forbidden {pattern.text}")
    for pattern in expectations.must:
        if not pattern.matches(body):
            raise CheckFailedError(Reason.BODY, f"the body does not match {pattern.text}")


def _valid_utf8(data: bytes) -> bytes:
    """Replace what is not UTF-8: RE2's `.` matches no other bytes."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="replace").encode()
    return data
