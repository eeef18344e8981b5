"""Exchange records for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ledger_case import NOBODY, NOW

from services.collector.ledger.ledger import Ledger
from tests.exchange_records import both_sides, record


@pytest.fixture
def raw() -> Callable[..., dict[str, Any]]:
    """Makes raw records."""
    return record


@pytest.fixture
def both() -> Callable[..., tuple[dict[str, Any], dict[str, Any]]]:
    """Makes the two sides of an exchange."""
    return both_sides


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A state that is empty, and gone afterwards."""
    with Ledger(None, NOBODY, now_ms=NOW) as opened:
        yield opened
