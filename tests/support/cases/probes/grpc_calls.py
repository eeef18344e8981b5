"""Descriptors and an environment for probes of kind grpc. Not a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.prober.grpc.descriptor_cache import DescriptorCache
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.servers.grpc_server import descriptor_set
from tests.support.servers.http_server import LOOPBACK

__all__ = ["descriptors", "environment"]


@pytest.fixture
def descriptors(tmp_path: Path) -> str:
    """Write the descriptors of IndicatorService to a file."""
    return descriptor_set(tmp_path / "set.pb")


def environment(clock: list[float] | None = None) -> ProbeEnvironment:
    """Return an environment whose reflected descriptors age by this clock."""
    now = clock or [0.0]
    return ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)), descriptors=DescriptorCache(clock=lambda: now[0]))
