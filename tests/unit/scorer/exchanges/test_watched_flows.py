"""Known flows are watched for findings, and open findings are published first."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from structlog.testing import capture_logs

from services.core.model.exchange import ExchangeSummary
from services.indicator.findings.detector import Detector, FindingChanges
from services.indicator.findings.inputs import StepCounts
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.exchanges import findings
from services.scorer.exchanges.findings import FindingWatch
from services.scorer.exchanges.reconciler import LATE_SECONDS
from tests.support.cases.watched_exchanges import EPOCH, FLOWS, HOUR, STOPPED, made, take


async def test_a_new_flow_is_watched_from_the_next_day_on(tmp_path: Path) -> None:
    """A new flow has the steps judged again once, at the end of its first day and not when it appears."""
    scoring, exchanges = made(tmp_path)
    watch = FindingWatch(exchanges, EvidenceLock())
    midnight = EPOCH // 86_400 * 24 + 72
    take(exchanges, scoring, range(midnight - 48, midnight + 6))
    new = ExchangeSummary("customs", "tax-office/debt/debts", (midnight + 1) * HOUR, 1, count=3, ok=3)
    exchanges.take([((midnight + 2) * HOUR, "xroad", [new])], calendar=scoring.calendar)
    watched = []
    for hour in (1, 6, 24, 30):
        take(exchanges, scoring, range(midnight + hour, midnight + hour + 1))
        await watch.look(scoring, scoring.calendar.slot_of((midnight + hour) * HOUR + LATE_SECONDS))
        assert watch._watched is not None
        watched.append(len(watch._watched.topology.flows))
    assert watched == [3, 3, 4, 4]
    exchanges.close()


async def test_flows_known_longest_are_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more flows than are watched, invented flows replace no known one, and the number left out is logged."""
    scoring, exchanges = made(tmp_path)
    monkeypatch.setattr(findings, "MOST_FLOWS", len(FLOWS))
    begin = EPOCH // HOUR
    take(exchanges, scoring, range(begin, begin + 30))
    for number in range(4):
        new = ExchangeSummary("customs", f"a{number}", (begin + 30) * HOUR, 1, count=3, ok=3)
        exchanges.take([((begin + 31) * HOUR, "xroad", [new])], calendar=scoring.calendar)
    take(exchanges, scoring, range(begin + 30, begin + 90))
    watch = FindingWatch(exchanges, EvidenceLock())
    with capture_logs() as logs:
        for _ in range(2):
            await watch.look(scoring, scoring.calendar.slot_of((begin + 90) * HOUR + LATE_SECONDS))
    assert watch._watched is not None
    assert sorted(watch._watched.topology.flows) == sorted(
        f"xroad {client} {service}" for client, service in FLOWS.items()
    )
    assert [line for line in logs if line["event"] == "flows_not_watched"] == [
        {"event": "flows_not_watched", "log_level": "warning", "left_out": 4, "watched": 3}
    ]
    exchanges.close()


async def test_what_goes_on_is_published_before_what_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more findings than are published, later ones that have ended replace no open one."""
    scoring, exchanges = made(tmp_path)
    watch = FindingWatch(exchanges, EvidenceLock())
    take(exchanges, scoring, range(EPOCH // HOUR, STOPPED // HOUR + 20))
    (found,) = await watch.look(scoring, scoring.calendar.slot_of(STOPPED + 20 * HOUR + LATE_SECONDS))
    younger = [
        replace(found, id=f"{number:016x}", since=found.since + HOUR * number, ended_at=STOPPED + 19 * HOUR)
        for number in (1, 2)
    ]
    watch._found.update({one.id: one for one in younger})
    monkeypatch.setattr(findings, "MOST_FINDINGS", 2)
    published = await watch.look(scoring, scoring.calendar.slot_of(STOPPED + 20 * HOUR + LATE_SECONDS))
    assert [one.id for one in published] == [younger[1].id, found.id]
    exchanges.close()


async def test_a_stop_waits_for_no_more_than_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled look at many steps ends with the step that is being judged."""
    scoring, exchanges = made(tmp_path)
    take(exchanges, scoring, range(EPOCH // HOUR, STOPPED // HOUR))
    watch, begun, goes_on, steps = FindingWatch(exchanges, EvidenceLock()), Event(), Event(), []
    advance = Detector.advance

    def slow(detector: Detector, step: StepCounts) -> FindingChanges:
        steps.append(step)
        begun.set()
        goes_on.wait()
        return advance(detector, step)

    monkeypatch.setattr(Detector, "advance", slow)
    looking = asyncio.create_task(watch.look(scoring, scoring.calendar.slot_of(STOPPED + LATE_SECONDS)))
    await asyncio.to_thread(begun.wait)
    looking.cancel()
    await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert len(steps) == 1
    exchanges.close()
