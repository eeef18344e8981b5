"""Exchanges are compared with probes."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from services.core import checked_rows
from services.core.codec import decode_columns, encode_measurements
from services.core.errors import StateError
from services.core.model import StreamPosition
from services.core.model.exchange import ExchangeSummary
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import OUTCOME_OF, Reason
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.register.directory.load import load_register
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.exchanges import hourly
from services.scorer.exchanges.database import ExchangeDatabase
from services.scorer.exchanges.reconciler import Reconciler
from services.scorer.index.results import CompiledRegister
from services.scorer.index.scoring import Scoring
from services.scorer.state.loading import LoadedState
from tests.support.cases.watched_exchanges import STOPPED, made, take
from tests.support.registers import write_register
from tests.support.waiting import HeldCalls, eventually

EPOCH = 1_767_213_000  # 2026-01-01T00:00 in Tehran
HOUR = 3600
DAYS = 8
BASE = ExchangeSummary("tax-office", "customs/tax-clearance/imports", EPOCH, 1, count=10, ok=10)


async def test_probes_and_exchanges_of_the_same_hours_are_compared(tmp_path: Path) -> None:
    """There is no difference if probes and exchanges fail in the same hours. LATE counts as answered.

    Closed days are judged once, and comparing the same days again gives an equal result.
    """
    register = load_register(write_register(tmp_path / "register"))
    calendar = Calendar.of(register.policy)
    scoring = Scoring(
        CompiledRegister.of(register), LoadedState(None, Evidence(calendar), ()), StreamPosition("M", "", 0)
    )
    exchanges = ExchangeDatabase(tmp_path / "exchanges.sqlite")
    exchanges.attribute_by(scoring.compiled.attributor)
    rows, summaries = [], []
    for hour in range(DAYS * 24):
        at, down = EPOCH + hour * HOUR, hour % 10 == 3
        why = Reason.CONNECT_REFUSED if down else Reason.LATE
        rows += [
            Measurement(Target("clearance-customs"), "north", at + slot, at + slot + 1.0, OUTCOME_OF[why], why)
            for slot in range(1800, 1800 + HOUR, 300)  # hours of UTC begin at half past in Tehran
        ]
        summaries.append(replace(BASE, slot_start=at + 1800, ok=0 if down else 10))
    scoring.evidence.take(decode_columns(encode_measurements(rows)))
    exchanges.take([(EPOCH + DAYS * 24 * HOUR, "xroad", summaries)], calendar=calendar)
    end_slot = calendar.slot_of(EPOCH + DAYS * 24 * HOUR)
    reconciler = Reconciler(exchanges, EvidenceLock())
    first = await reconciler.run(scoring, end_slot)
    assert first is not None
    week = next(one for one in first.links if one.link == "clearance-customs" and one.window_days == 7)
    assert week.exchanges == week.compared == 7 * 240 + 10  # midnight is at half past, and its whole hour counts
    assert week.difference is not None
    assert week.logs is not None
    assert week.probes is not None
    assert week.difference.value == 0
    assert week.logs == week.probes
    assert 0.89 < week.logs.value < 0.91
    assert not week.disagrees
    assert {one.link for one in first.links if one.silent and one.window_days == 7} == set(register.links) - {
        "clearance-customs",
        "transfer-customs",
    }
    assert [*first.links] == sorted(first.links, key=lambda one: (one.window_days, one.link)), "the api relies on it"
    assert {one.exchanges for one in first.traffic} == {7 * 240 + 10, 8 * 240}
    list(scoring.evidence.closing(end_slot))
    assert await reconciler.run(scoring, end_slot) == first
    assert await reconciler.run(scoring, end_slot) == first
    exchanges.close()


async def test_findings_have_a_moment(tmp_path: Path) -> None:
    """All findings are as of the given end. A link has its last hour, even in a window in which it fell silent."""
    register = load_register(write_register(tmp_path / "register"))
    calendar = Calendar.of(register.policy)
    scoring = Scoring(
        CompiledRegister.of(register), LoadedState(None, Evidence(calendar), ()), StreamPosition("M", "", 0)
    )
    exchanges = ExchangeDatabase(tmp_path / "exchanges.sqlite")
    exchanges.attribute_by(scoring.compiled.attributor)
    other = replace(BASE, client="civil-registry", service="tax-office/birth-certificate/dependants")
    for day in range(24):
        moments = [EPOCH + day * 24 * HOUR + 1800 + hour * HOUR for hour in range(24)]
        both = (BASE, other) if day < 12 else (BASE,)
        rows = [replace(one, slot_start=at + 300) for at in moments for one in both]
        exchanges.take([(moments[-1] + HOUR, "xroad", rows)], calendar=calendar)
    end = EPOCH + 24 * 24 * HOUR - 600
    found = await Reconciler(exchanges, EvidenceLock()).run(scoring, calendar.slot_of(end))
    assert found is not None
    assert {link.as_of for link in found.links} | {flow.as_of for flow in found.traffic} == {end}
    told = {(one.link, one.window_days): (one.silent, one.last_hour) for one in found.links}
    for window in (7, 28, 90):
        assert told["clearance-customs", window] == (False, EPOCH + 24 * 24 * HOUR - 1800)
        assert told["birth-tax", window] == (window == 7, EPOCH + 12 * 24 * HOUR - 1800)
    assert told["deed-tax", 7] == (True, None)
    exchanges.close()


async def test_counts_that_are_cut_off_are_damage(tmp_path: Path) -> None:
    """Counts of the wrong size are damage of the database, for those who read hours and for those who add to them."""
    register = load_register(write_register(tmp_path / "register"))
    calendar = Calendar.of(register.policy)
    scoring = Scoring(
        CompiledRegister.of(register), LoadedState(None, Evidence(calendar), ()), StreamPosition("M", "", 0)
    )
    path = tmp_path / "exchanges.sqlite"
    exchanges = ExchangeDatabase(path)
    exchanges.attribute_by(scoring.compiled.attributor)
    batch = (EPOCH + 2 * HOUR, "xroad", [replace(BASE, slot_start=EPOCH + 1800)])
    exchanges.take([batch], calendar=calendar)
    with closing(checked_rows.connect(path)) as database, database:
        database.execute("UPDATE hours SET counts = substr(counts, 1, 284)")
    with pytest.raises(StateError, match="cannot be used: its hours"):
        await Reconciler(exchanges, EvidenceLock()).run(scoring, calendar.slot_of(EPOCH + 24 * HOUR))
    assert exchanges.damaged
    flows = range(1)
    with pytest.raises(StateError, match="cannot be used: its hours"), exchanges.reading() as snapshot:
        snapshot.steps(flows, range(EPOCH // HOUR, EPOCH // HOUR + 24), HOUR)
    with pytest.raises(StateError, match="cannot be used: its hours"):
        exchanges.take([(EPOCH + 2 * HOUR, "xroad", [replace(BASE, slot_start=EPOCH + 2100)])], calendar=calendar)
    exchanges.close()


async def test_without_exchanges_there_are_no_findings(tmp_path: Path) -> None:
    """Without any exchange no link is silent and no bus is named. Before the first slot there is no window."""
    register = load_register(write_register(tmp_path / "register"))
    calendar = Calendar.of(register.policy)
    scoring = Scoring(
        CompiledRegister.of(register), LoadedState(None, Evidence(calendar), ()), StreamPosition("M", "", 0)
    )
    exchanges = ExchangeDatabase(tmp_path / "exchanges.sqlite")
    exchanges.attribute_by(scoring.compiled.attributor)
    found = await Reconciler(exchanges, EvidenceLock()).run(scoring, calendar.epoch_slot + 3000)
    assert found is not None
    assert found.links == ()
    assert {(one.exchanges, one.buses) for one in found.traffic} == {(0, ())}
    before = await Reconciler(exchanges, EvidenceLock()).run(scoring, calendar.epoch_slot)
    assert before is not None
    assert before.traffic == ()
    exchanges.close()


async def test_a_stop_waits_until_no_thread_reads_exchanges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled comparison ends once the read that is under way has ended, and begins no other."""
    scoring, exchanges = made(tmp_path)
    take(exchanges, scoring, range(STOPPED // HOUR - 24, STOPPED // HOUR))
    with HeldCalls(hourly.read_hours) as held:
        monkeypatch.setattr(hourly, "read_hours", held)
        comparing = asyncio.create_task(
            Reconciler(exchanges, EvidenceLock()).run(scoring, scoring.calendar.slot_of(STOPPED))
        )
        await eventually(lambda: held.made, "a read is under way")
        comparing.cancel()
        for _ in range(5):  # turns of the loop, in which it would end
            await asyncio.sleep(0)
        ended = comparing.done()
    assert not ended
    with pytest.raises(asyncio.CancelledError):
        await comparing
    assert held.made == 1
    exchanges.close()
