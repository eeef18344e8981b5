"""X-Road probes that are prepared once and run three times. Not a test."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from services.core.model.outcome import Reason
from services.core.model.probe import Probe
from services.prober.attempt import ProbeRunner
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.servers.http_server import LOOPBACK, assignment

__all__ = ["CLIENT", "thrice"]
CLIENT = "IR/GOV/1001/portal"


async def thrice(url: str, definition: Probe, params: Mapping[str, object] | tuple[()] = ()) -> None:
    """Prepare a probe of one target once, and run it three times."""
    environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)))
    try:
        attempts, item = ProbeRunner(environment, structlog.get_logger()), assignment(url, definition, params=params)
        for _ in range(3):
            assert (await attempts.probe(item)).judgement.reason is Reason.OK
    finally:
        await environment.close()
