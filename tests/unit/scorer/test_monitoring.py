"""The scorer reports on Peyvand itself: deliveries of vantages, rows left out, contents of streams."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from services.core.bus import StoredMessage, StreamState
from services.core.bus.stream_cursor import StreamCursor
from services.core.codec import decode_columns, encode_measurements
from services.core.model import StreamPosition
from services.core.model.measurement import Measurement, Target
from services.core.model.monitoring import VantageHealth
from services.core.model.outcome import OUTCOME_OF, Reason
from services.core.model.register import ALWAYS, Register
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.indicator.verdicts import vantages
from services.register.directory.load import load_register
from services.scorer.index.results import CompiledRegister, TakenBatch
from services.scorer.index.scoring import Scoring
from services.scorer.metrics import ScorerMetrics
from services.scorer.state.loading import LoadedState
from tests.support.registers import write_register

EPOCH = 1_767_213_000  # 2026-01-01T00:00 in Tehran
SLOT = 300
FIRST = EPOCH // SLOT


@pytest.fixture
def register(tmp_path) -> Register:
    return load_register(write_register(tmp_path))


def new_scoring(register: Register) -> Scoring:
    return Scoring(
        CompiledRegister.of(register),
        LoadedState(None, Evidence(Calendar.of(register.policy)), ()),
        StreamPosition("M", "", 0),
    )


def measure(scoring: Scoring, vantage: str, slot: int, why: dict[str, Reason]) -> None:
    start = EPOCH + SLOT * slot
    rows = [Measurement(Target(link), vantage, start, start + 1.0, OUTCOME_OF[one], one) for link, one in why.items()]
    columns = decode_columns(encode_measurements(rows))
    scoring.take(columns, stored=start + SLOT + 2.0, sequence=scoring.manifest.position.sequence + 1)


def health(scoring: Scoring, slots: int) -> dict[str, VantageHealth]:
    for _ in scoring.prepare(FIRST + slots):
        pass
    return {one.vantage: one for one in scoring.vantage_health()}


def test_every_vantage_has_what_it_owes_and_what_arrived(register: Register) -> None:
    """Live targets are expected in each slot, even of vantages that never reported. UNKNOWN counts by reason."""
    scoring = new_scoring(register)
    targets = sum(not link.absent for link in register.links.values()) + len(register.endpoints)
    why = {"deed-civil": Reason.OK, "deed-tax": Reason.SHED, "birth-tax": Reason.VANTAGE_BLIND}
    measure(scoring, "north", 0, why)
    measure(scoring, "north", 1, {**why, "deed-tax": Reason.ANSWER_TIMEOUT})
    found = health(scoring, 2)
    unknown = ((Reason.SHED, 1), (Reason.VANTAGE_BLIND, 2))
    assert found == {
        "north": VantageHealth("north", 2 * targets, 6, unknown, EPOCH + SLOT),
        "south": VantageHealth("south", 2 * (targets - 1), 0, (), None),  # one link is for north alone
    }
    assert scoring.vantages.slots == range(FIRST, FIRST + 2)


def test_late_rows_and_another_register_are_counted_again(register: Register) -> None:
    """A row that comes after its slot was counted counts in the next index, and a target of one vantage only there."""
    scoring = new_scoring(register)
    measure(scoring, "south", 0, {"deed-civil": Reason.OK})
    before = health(scoring, 2)["south"]
    measure(scoring, "south", 0, {"deed-tax": Reason.OK})
    after = health(scoring, 2)["south"]
    assert (before.delivered, after.delivered) == (1, 2)
    links = {**register.links, "deed-tax": replace(register.links["deed-tax"], vantages=("north",), live_from=ALWAYS)}
    scoring.adopt(CompiledRegister.of(replace(register, links=links, register_version="n" * 64)))
    only = health(scoring, 2)["south"]
    assert (only.expected, only.delivered) == (after.expected - 2, 1)


def test_the_span_ends_with_the_index_and_is_bounded(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the last hours count, and with short slots only the last thousand slots."""
    monkeypatch.setattr(vantages, "SPAN_SECONDS", 3 * SLOT)
    scoring = new_scoring(register)
    for slot in range(5):
        measure(scoring, "north", slot, {"deed-civil": Reason.OK})
    assert health(scoring, 5)["north"].delivered == 3
    assert scoring.vantages.slots == range(FIRST + 2, FIRST + 5)
    monkeypatch.setattr(vantages, "MOST_SLOTS", 2)
    assert health(new_scoring(register), 5)["north"].expected == health(scoring, 5)["north"].expected * 2 // 3


def test_the_report_holds_what_was_left_out(register: Register) -> None:
    """Late, refused and rejected rows are counted since startup. Streams are as they were last seen."""
    metrics = ScorerMetrics(CollectorRegistry(), began=1000.9)
    metrics.taken("north", TakenBatch(accepted=3, late=2, refused={"slot": 1, "time": 1, "target": 0}, resettled=0))
    metrics.rejected()
    metrics.behind(7)
    metrics.bus.lost("EXCHANGES", 4)
    metrics.record.gaps_accepted = {"MEASUREMENTS": 1}
    state = StreamState("now", 1, 9, 9, 90, 0.0, 60.0, 1000)
    metrics.bus.batches({"north": 2, "south": 1}, {"north": 4})
    metrics.bus.streams({"MEASUREMENTS": state, "EXCHANGES": state})
    report = metrics.record.report(300, 600, ())
    assert (report.since, report.late, report.refused, report.rejected) == (1000, 2, 2, 1)
    assert (report.batches_missing, report.batches_broken) == (3, 4)
    assert [(one.stream, one.behind, one.lost, one.gaps_accepted) for one in report.streams] == [
        ("MEASUREMENTS", 7, 0, 1),
        ("EXCHANGES", None, 4, 0),
    ]


async def test_an_accepted_gap_is_counted() -> None:
    """Reading on past missing messages, if an operator allows it, is counted. Nothing is counted without a gap."""
    messages = [StoredMessage(sequence, "s", b"", 0.0) for sequence in (1, 2, 5)]

    async def read(*_: object, **__: object) -> list[StoredMessage]:
        return messages

    cursor = StreamCursor(cast(Any, SimpleNamespace(read=read)), "MEASUREMENTS", 0.0, accept=True)
    await cursor.read(StreamPosition("MEASUREMENTS", "", 0), limit=10, now=0.0)
    assert cursor.gaps_accepted == 1
    del messages[2]
    await cursor.read(StreamPosition("MEASUREMENTS", "", 0), limit=10, now=0.0)
    assert cursor.gaps_accepted == 1
