"""Probes over a proxy. Not a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.core.model.outcome import Outcome, Reason
from services.prober.attempt import ProbeResult
from services.prober.kinds.kind import ProbeEnvironment
from tests.support.servers.authority import Authority
from tests.support.servers.egress_trap import FORBIDDEN, way_out
from tests.support.servers.proxy_server import Proxy as RunningProxy
from tests.support.servers.proxy_server import proxying

__all__ = ["NAMES", "authority", "environment", "judged", "proxy"]

NAMES = {
    "tax.test": ["127.0.0.1"],
    "refused.test": ["127.0.0.1"],
    "proxy.test": ["127.0.0.1"],
    "inside.test": [FORBIDDEN],
}


@pytest.fixture
async def environment() -> AsyncIterator[ProbeEnvironment]:
    """A way out that knows NAMES."""
    async with way_out(NAMES) as (_, environment):
        yield environment


@pytest.fixture
async def proxy() -> AsyncIterator[RunningProxy]:
    """A proxy that demands nothing."""
    async with proxying() as running:
        yield running


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority."""
    return Authority.make(tmp_path)


def judged(result: ProbeResult) -> tuple[Outcome, Reason]:
    return result.judgement.outcome, result.judgement.reason
