"""Checks how an exchange ended, and what HTTP, gRPC and DNS themselves answered. Pure."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from services.core.model import Reason, reason_of_fault, reason_of_status
from services.prober.checks.document import CheckFailedError, Document
from services.prober.expected import Expectations, Records
from services.prober.observation import Cause, Failure, Observation, Phase

_DAY: Final = 86_400.0
FAULT_WORDS: Final = {
    Reason.BUS_ERROR: "the data bus answered in the provider's place",
    Reason.SERVER_ERROR: "the provider's service did not answer its security server",
    Reason.AUTH_REFUSED: "the provider's security server does not admit this client",
    Reason.UNKNOWN_SERVICE: "the provider's security server does not offer this service",
}
"""The meaning of the faults of security servers, by their reason."""


def check_bus(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check that the provider answered, and not the data bus in its place."""
    if not expectations.bus:
        return
    for name, code in observation.headers:
        if name == "x-road-error":
            reason = reason_of_fault(code) or Reason.BUS_ERROR
            raise CheckFailedError(reason, f"{FAULT_WORDS[reason]}, with X-Road-Error")


def check_refused(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check that the target itself answered, with neither a server error nor a refusal."""
    status = observation.status
    if status not in expectations.status and (reason := reason_of_status(status)):
        raise CheckFailedError(reason, f"status {status}")


def check_status(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check that the status is one of those listed, or 2xx."""
    status = observation.status
    if not status:  # not every kind of probe has one
        return
    if expectations.status:
        if status not in expectations.status:
            raise CheckFailedError(Reason.STATUS, f"status {status} instead of {in_ranges(expectations.status)}")
    elif not 200 <= status < 300:
        raise CheckFailedError(Reason.STATUS, f"status {status} instead of 2xx")


def in_ranges(statuses: frozenset[int]) -> str:
    """Return statuses in order, with three or more in a row as a range."""
    numbered = enumerate(sorted(statuses))
    rows = [[status for _, status in row] for _, row in groupby(numbered, lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{row[0]}-{row[-1]}" if len(row) > 2 else ", ".join(map(str, row)) for row in rows)


def check_secure(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check that the answer came over TLS where that is required."""
    if expectations.tls and not observation.tls_version:
        raise CheckFailedError(Reason.NOT_SECURE, "the answer came without TLS")


def check_certificate(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check that the server's certificates do not expire too soon. If a chain verifies, only its certificates count."""
    if not expectations.certificate_left:
        return
    facts = observation.certificate
    if facts is None:
        raise CheckFailedError(Reason.NOT_SECURE, "the answer came without TLS")
    left = (facts.chain_expiry or facts.earliest_expiry) - observation.time
    if left < expectations.certificate_left:
        wanted = expectations.certificate_left / _DAY
        raise CheckFailedError(
            Reason.CERTIFICATE_EXPIRING, f"a certificate expires in {left / _DAY:.1f} days, within {wanted:g}"
        )


def check_headers(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check that each expected header is present, and what its values match."""
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
    """Replace bytes that are not UTF-8, because RE2's `.` does not match them."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="replace").encode()
    return data


_REFUSED = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})


def check_rpc(observation: Observation, _expectations: Expectations, _document: Document) -> None:
    """Check that the call ended with OK, and that a health check reports SERVING."""
    rpc = observation.rpc
    if rpc is None:
        return
    if rpc.code == "UNIMPLEMENTED":
        raise CheckFailedError(
            Reason.UNIMPLEMENTED, f"the server has no {'health check' if rpc.health else 'such method'}"
        )
    if rpc.code == "NOT_FOUND" and rpc.health:
        raise CheckFailedError(Reason.UNKNOWN_SERVICE, "the health check does not know the service")
    if rpc.code != "OK":
        # If something on the way answers in plain HTTP, its status is more informative.
        http_status = f", HTTP status {observation.status}" if observation.status not in {0, 200} else ""
        reason = Reason.AUTH_REFUSED if rpc.code in _REFUSED else Reason.RPC_FAILED
        raise CheckFailedError(reason, f"the call ended with {rpc.code}{http_status}")
    if rpc.health and rpc.serving and rpc.serving != "SERVING":
        raise CheckFailedError(Reason.NOT_SERVING, f"the health check reports {rpc.serving}")


_NO_ANSWER = frozenset({"SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"})


def check_rcode(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check that the response code is one of those listed, or NOERROR."""
    dns = observation.dns
    if dns is None:
        return
    expected = expectations.rcode or frozenset({"NOERROR"})
    if dns.rcode not in expected:
        if dns.rcode in _NO_ANSWER:
            raise CheckFailedError(Reason.NAME_SERVER_FAILED, f"the name server answered {dns.rcode}")
        raise CheckFailedError(Reason.RCODE, f"{dns.rcode} instead of {', '.join(sorted(expected))}")


def check_records(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check that the answer is authoritative where required, and check the records of each section against patterns."""
    dns = observation.dns
    if dns is None:
        return
    if expectations.authoritative and not dns.authoritative:
        raise CheckFailedError(Reason.RECORDS, "the answer is not authoritative")
    cut = ", which is truncated," if dns.truncated else ""
    for section, records, expected in (
        ("answer", dns.answers, expectations.answers),
        ("authority", dns.authority, expectations.authority),
        ("additional", dns.additional, expectations.additional),
    ):
        _check_records(f"record of the {section} section{cut}", records, expected)


def _check_records(what: str, records: tuple[str, ...], expected: Records) -> None:
    if expected.empty and records:
        raise CheckFailedError(Reason.RECORDS, f"there is a {what}")
    if expected.every and not records:
        raise CheckFailedError(Reason.RECORDS, f"there is no {what}")
    for pattern in expected.every:
        if not all(pattern.matches(record.encode()) for record in records):
            raise CheckFailedError(Reason.RECORDS, f"a {what} does not match {pattern.text}")
    for pattern in expected.must_not:
        if any(pattern.matches(record.encode()) for record in records):
            raise CheckFailedError(Reason.RECORDS, f"a {what} matches the forbidden {pattern.text}")
    for pattern in expected.must:
        if not any(pattern.matches(record.encode()) for record in records):
            raise CheckFailedError(Reason.RECORDS, f"no {what} matches {pattern.text}")


_ANYWHERE: dict[Cause, Reason] = {
    Cause.LOCAL_RESOURCES: Reason.LOCAL_RESOURCES,
    Cause.CREDENTIAL: Reason.OWN_CREDENTIAL,
    Cause.CERTIFICATE_EXPIRED: Reason.CERTIFICATE_EXPIRED,
    Cause.CERTIFICATE_NOT_YET_VALID: Reason.CERTIFICATE_NOT_YET_VALID,
    Cause.CERTIFICATE_NAME_MISMATCH: Reason.CERTIFICATE_NAME_MISMATCH,
    Cause.CERTIFICATE_UNTRUSTED: Reason.CERTIFICATE_UNTRUSTED,
    Cause.TOO_MANY_REDIRECTS: Reason.TOO_MANY_REDIRECTS,
    Cause.REDIRECT_DOWNGRADED: Reason.REDIRECT_REFUSED,
    Cause.REDIRECT_UNUSABLE: Reason.REDIRECT_REFUSED,
    Cause.REDIRECT_WITH_BODY: Reason.REDIRECT_REFUSED,
    Cause.BODY_LIMIT: Reason.BODY_LIMIT,
    Cause.ENCODING: Reason.ENCODING,
    Cause.PROTOCOL: Reason.PROTOCOL_ERROR,
    Cause.TLS_NOT_SPOKEN: Reason.TLS_NOT_SPOKEN,
    Cause.CERTIFICATE_REFUSED: Reason.AUTH_REFUSED,
    Cause.STARTTLS_REFUSED: Reason.STARTTLS_REFUSED,
    Cause.LINE: Reason.LINE,
    Cause.LINE_TIMEOUT: Reason.LINE,
    Cause.CAPTURE: Reason.CAPTURE,
    Cause.TOO_COSTLY: Reason.CHECK_ERROR,
}
# A failure at the proxy is never the target's fault.
_AT_PROXY: dict[Cause, Reason] = {
    Cause.LOCAL_RESOURCES: Reason.LOCAL_RESOURCES,
    Cause.CREDENTIAL: Reason.OWN_CREDENTIAL,
    Cause.EGRESS: Reason.EGRESS_DENIED,
}
_CONNECTING: dict[tuple[Phase, Cause], Reason] = {
    (Phase.RESOLVE, Cause.TIMEOUT): Reason.RESOLVE_TIMEOUT,
    (Phase.RESOLVE, Cause.FAILED): Reason.RESOLVE_FAILED,
    (Phase.CONNECT, Cause.TIMEOUT): Reason.CONNECT_TIMEOUT,
    (Phase.CONNECT, Cause.REFUSED): Reason.CONNECT_REFUSED,
    (Phase.CONNECT, Cause.UNREACHABLE): Reason.CONNECT_UNREACHABLE,
    (Phase.TLS, Cause.TIMEOUT): Reason.TLS_TIMEOUT,
    (Phase.TLS, Cause.FAILED): Reason.TLS_FAILED,
    (Phase.PROCESSING, Cause.TIMEOUT): Reason.ANSWER_TIMEOUT,
    (Phase.TRANSFER, Cause.TIMEOUT): Reason.BODY_TIMEOUT,
    (Phase.PROCESSING, Cause.RESET): Reason.CONNECTION_RESET,
    (Phase.TRANSFER, Cause.RESET): Reason.CONNECTION_RESET,
    (Phase.PROCESSING, Cause.CLOSED): Reason.CONNECTION_CLOSED,
    (Phase.TRANSFER, Cause.CLOSED): Reason.CONNECTION_CLOSED,
}
# The answer began before these, so its status and headers, which belong to the same stage, are judged first.
_AFTER_HEADERS = frozenset({Cause.BODY_LIMIT, Cause.ENCODING, Cause.TOO_COSTLY})


def check_answered(observation: Observation, _expectations: Expectations, _document: Document) -> None:
    """Check that nothing stopped the probe before its answer began. Failures in the body are left to check_whole."""
    if observation.failure is not None and observation.failure.cause not in _AFTER_HEADERS:
        raise _failed(observation.failure, redirected=observation.redirected)


def check_whole(observation: Observation, _expectations: Expectations, _document: Document) -> None:
    """Check that nothing stopped the probe."""
    if observation.failure is not None:
        raise _failed(observation.failure, redirected=observation.redirected)


def _failed(failure: Failure, *, redirected: bool) -> CheckFailedError:
    if failure.phase is Phase.PROXY:
        reason = _AT_PROXY.get(failure.cause, Reason.PROXY_FAILED)
    elif failure.cause is Cause.EGRESS:
        # If the policy forbids a target of the register, that is our own fault. If it forbids the address that an
        # answer redirects to, the answer is at fault.
        reason = Reason.REDIRECT_REFUSED if redirected else Reason.EGRESS_DENIED
    else:
        reason = _ANYWHERE.get(failure.cause) or _CONNECTING[failure.phase, failure.cause]
    return CheckFailedError(reason, failure.detail)
