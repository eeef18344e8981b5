"""Log entries about rejected records."""

from __future__ import annotations

import io
import json

import structlog
from prometheus_client import CollectorRegistry

from services.collector.intake import Intake
from services.collector.ledger import LedgerExecutor
from services.collector.metrics import CollectorMetrics
from services.collector.records import read
from tests.support.cases.ledger import NOW, SLOT_SECONDS


async def test_a_batch_of_bad_records_makes_few_entries_in_the_log(raw, tmp_path):
    """A record with many wrong fields counts once and is one reject. Beyond a thousand only their number is logged."""
    bad = raw(**{name: [] for name in raw() if name != "securityServerType"})
    content = json.dumps([bad] * 1234).encode()
    executor, registry = LedgerExecutor(), CollectorRegistry()
    with structlog.testing.capture_logs() as lines:
        async with executor.ledger(tmp_path / "state.sqlite", SLOT_SECONDS, NOW) as ledger:
            intake = Intake(executor, ledger, CollectorMetrics(registry), structlog.get_logger(), lambda: NOW)
            [batch] = read(io.BytesIO(content), size=2000)
            await intake.take("log", "log", batch)
    assert registry.get_sample_value("peyvand_exchange_rejected_total") == 1234
    told = [reject for line in lines for reject in line.get("rejects", ())]
    assert [reject["number"] for reject in told] == list(range(1, 1001))
    assert all(reject["reason"].endswith(" more") and len(reject["reason"]) < 600 for reject in told)
    assert [line["records"] for line in lines if line["event"] == "more_records_rejected"] == [234]
