"""Provide a single server that deploy/nats configures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.deployed_nats import Deployed, deployed


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Deployed]:
    """A single server by deploy/nats/alone.conf."""
    with deployed(tmp_path / "alone", "alone.conf") as servers:
        yield servers
