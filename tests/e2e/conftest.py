"""Provide a whole running system per test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.system import System


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Callable[..., System]]:
    """Start systems as `peyvand up --sandbox` does: `system("--slot", "3s")`; each is ended after the test.

    They also end by themselves, so that nothing outlives a test run that was killed.
    """
    with ExitStack() as ends:
        numbers = itertools.count()

        def start(*flags: str) -> System:
            limit = () if "--for" in flags else ("--for", "10m")
            one = System(tmp_path / f"system-{next(numbers)}", (*limit, *flags))
            ends.callback(one.stop)
            one.start()
            return one

        yield start
