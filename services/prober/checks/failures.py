"""What stopped a probe, by cause and phase, as a reason. Pure."""

from __future__ import annotations

from services.core.model import Reason
from services.prober.checks.document import CheckFailedError, Document
from services.prober.expected import Expectations
from services.prober.observation import Cause, Failure, Observation, Phase

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
    Cause.BODY_LIMIT: Reason.BODY_LIMIT,
    Cause.ENCODING: Reason.ENCODING,
    Cause.PROTOCOL: Reason.PROTOCOL_ERROR,
    Cause.TLS_NOT_SPOKEN: Reason.TLS_NOT_SPOKEN,
    Cause.CERTIFICATE_REFUSED: Reason.AUTH_REFUSED,
    Cause.STARTTLS_REFUSED: Reason.STARTTLS_REFUSED,
    Cause.LINE: Reason.LINE,
    Cause.LINE_TIMEOUT: Reason.LINE,
    Cause.CAPTURE: Reason.CAPTURE,
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
# The answer began, so its status and headers, which are of the same stage, are judged before these.
_AFTER_HEADERS = frozenset({Cause.BODY_LIMIT, Cause.ENCODING})


def check_answered(observation: Observation, _expectations: Expectations, _document: Document) -> None:
    """Check that nothing stopped the probe before its answer began; what stopped it in the body is left to check_whole."""
    failure = observation.failure
    if failure is not None and failure.cause not in _AFTER_HEADERS:
        raise CheckFailedError(_reason_for(failure, redirected=observation.redirected), failure.detail)


def check_whole(observation: Observation, _expectations: Expectations, _document: Document) -> None:
    """Check that nothing stopped the probe."""
    failure = observation.failure
    if failure is not None:
        raise CheckFailedError(_reason_for(failure, redirected=observation.redirected), failure.detail)


def _reason_for(failure: Failure, *, redirected: bool) -> Reason:
    if failure.cause is Cause.EGRESS:
        # A target of the register that our policy forbids is our own affair; one an answer redirects to is the answer's fault.
        return Reason.REDIRECT_REFUSED if redirected else Reason.EGRESS_DENIED
    return _ANYWHERE.get(failure.cause) or _CONNECTING[failure.phase, failure.cause]
