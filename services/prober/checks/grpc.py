"""Checks of gRPC answers: how the call ended. Pure."""

from __future__ import annotations

from services.core.model import Reason
from services.prober.checks.check_failed import CheckFailedError
from services.prober.checks.document import Document
from services.prober.expected import Expectations
from services.prober.observation import Observation

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
