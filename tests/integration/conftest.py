"""Fixtures of what runs against real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cases.scorer import Scorer
from tests.support.nats import Nats


@pytest.fixture
def scorer(nats: Nats, tmp_path: Path) -> Iterator[Scorer]:
    """A scorer that is not running yet, and is not running afterwards."""
    one = Scorer(nats, tmp_path / "scorer")
    yield one
    if one.process is not None and one.process.poll() is None:
        one.kill()
