"""What tests of the collector's state begin with. Not a test."""

from __future__ import annotations

from services.collector.records.batch import Batch, Position
from services.collector.records.xroad import read_side
from services.register.attribution import Mapping

NOW = 1_700_000_500_000
HOUR, DAY = 3_600_000, 86_400_000
NOBODY = Mapping(None)


def batch(*records, line=1):
    return Batch(tuple(map(read_side, records)), (), Position(line * 10, line))


def counts(ledger):
    return {(s.service, s.slot_start): (s.count, s.orphans) for s in ledger.summaries()}
