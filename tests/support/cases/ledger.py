"""An empty ledger, and raw exchange records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.collector.ledger.ledger import Ledger
from services.collector.records.batch import RecordBatch, SourcePosition
from services.collector.records.xroad import read_side
from tests.support.values.exchange_records import both_sides, record

NOW = 1_700_000_500_000
HOUR, DAY = 3_600_000, 86_400_000
SLOT_SECONDS = 300


def batch(*records, line=1):
    return RecordBatch(tuple(map(read_side, records)), (), SourcePosition(line * 10, line))


def counts(ledger):
    return {(s.service, s.slot_start): (s.count, s.orphans) for s in ledger.summaries()}


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
    """An empty ledger in memory."""
    with Ledger(None, SLOT_SECONDS, now_ms=NOW) as opened:
        yield opened
