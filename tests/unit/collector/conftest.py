"""Exchange records for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.exchange_records import both_sides, record


@pytest.fixture
def raw() -> Callable[..., dict[str, Any]]:
    """Makes raw records."""
    return record


@pytest.fixture
def both() -> Callable[..., tuple[dict[str, Any], dict[str, Any]]]:
    """Makes the two sides of an exchange."""
    return both_sides
