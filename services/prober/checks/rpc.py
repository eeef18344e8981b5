"""gRPC answers: how the call ended. Pure."""

from __future__ import annotations

from services.core.outcome import Reason
from services.prober.checks.wrong import WrongError
from services.prober.observation import Observation

__all__ = ["check_rpc"]


def check_rpc(observation: Observation) -> None:
    """Check that the call ended with OK, and that a health check says SERVING."""
    rpc = observation.rpc
    if rpc is None:
        return
    if rpc.code == "UNIMPLEMENTED":
        raise WrongError(Reason.UNIMPLEMENTED, "the server has no such method")
    if rpc.code == "NOT_FOUND" and rpc.serving:
        raise WrongError(Reason.UNKNOWN_SERVICE, "the health check does not know the service")
    if rpc.code in {"UNAUTHENTICATED", "PERMISSION_DENIED"}:
        raise WrongError(Reason.AUTH_REFUSED, f"the call ended with {rpc.code}")
    if rpc.code != "OK":
        raise WrongError(Reason.RPC_FAILED, f"the call ended with {rpc.code}")
    if rpc.serving not in {"", "SERVING"}:
        raise WrongError(Reason.NOT_SERVING, f"the health check says {rpc.serving}")
