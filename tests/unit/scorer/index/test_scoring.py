"""Scoring takes some rows and leaves others out, and decides what to publish next, in simulated time."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from services.core.bus import DETAIL_SECONDS, SLOTS_PER_BLOCK, group_of
from services.core.codec import decode_columns, decode_measurements, encode_measurements, measurement_to_json
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import OUTCOME_OF, Outcome, Reason, Stage
from services.core.model.register import Register
from services.scorer.index.results import CompiledRegister
from services.scorer.offline.jsonl import read_measurements
from services.scorer.offline.score import admitted, score_batches
from tests.support.cases.scoring import SLOT, START, Run, differences, register, stream

__all__ = ["register"]  # the fixture


@pytest.mark.parametrize("seed", range(2))
def test_a_dump_scores_alike(register: Register, tmp_path: Path, seed: int) -> None:
    """With a closed day, late and repeated batches and a changed register, a dump scores to the same bits."""
    links = dict(register.links)
    links["deed-tax"] = replace(links["deed-tax"], vantages=("south",), live_from=date(2026, 3, 2))
    links["birth-tax"] = replace(links["birth-tax"], service="tax-clearance", provider="customs")
    del links["permit-tax"]
    changed = replace(register, links=links, register_version="c" * 64)
    messages = stream(register, slots=60, seed=seed)
    run = Run(register, tmp_path / "state")
    for message in messages:
        if message.sequence == len(messages) - 20:
            run.scoring.adopt(CompiledRegister.of(changed))
        run.take(message)
    assert run.scoring.evidence.closed_before == START // SLOT + 30, "a day must close before the register changes"
    file = tmp_path / "dump"
    with file.open("w", encoding="utf-8") as dump:
        for message in messages:
            for row in decode_measurements(message.payload):
                dump.write(measurement_to_json(replace(row, stored=message.time, sequence=message.sequence)) + "\n")
    end_slot = int(messages[-1].time) // SLOT
    counted = admitted(changed, read_measurements([file], changed))
    assert counted.late > 0
    found = score_batches(changed, counted.batches, at=end_slot * SLOT, evidence_sequence=counted.sequence)
    assert list(differences(run.result(end_slot), found)) == []


def test_late_rows_are_counted_and_change_nothing(register: Register, tmp_path: Path) -> None:
    """Rows stored after their slot's grace count as late. Rows of future or misaligned slots, or probed outside their
    slot, count as refused.
    """
    scoring = Run(register, tmp_path).scoring
    grace = register.policy.grace_seconds
    row = Measurement(Target("deed-civil"), "north", START, START + 5.0, OUTCOME_OF[Reason.OK], Reason.OK)
    stored = START + SLOT + grace + 1
    between = START + 7 * SLOT + 1
    rows = [
        row,
        replace(row, slot_start=int(stored + 2 * SLOT)),
        replace(row, slot_start=between, time=between + 5.0),
        replace(row, slot_start=START + 7 * SLOT),
    ]
    taken = scoring.take(decode_columns(encode_measurements(rows)), stored=stored, sequence=1)
    assert (taken.accepted, taken.late, taken.refused) == (0, 1, {"slot": 2, "time": 1, "target": 0})
    assert scoring.manifest.position.sequence == 1
    assert scoring.compute(scoring.count(START // SLOT + 1)).snapshot.links[7].counts[:, 3].sum() == 0


def test_what_is_stored_late_beats_nothing_that_was_stored_in_time(register: Register, tmp_path: Path) -> None:
    """A row stored after its slot had settled fills a slot about which nothing is known, and counts as a change of it.
    Beside a row stored in time it changes neither the index nor the latest measurements, whatever time it claims.
    """
    scoring = Run(register, tmp_path).scoring
    prompt_time = START + 9.0
    prompt = Measurement(Target("deed-civil"), "north", START, prompt_time, OUTCOME_OF[Reason.OK], Reason.OK)
    early = replace(prompt, time=float(START), outcome=Outcome.INVALID, reason=Reason.STATUS)
    other = replace(early, target=Target("deed-tax"))
    taken = []
    for sequence, (rows, after) in enumerate([([prompt], 10.0), ([early, other], 3000.0), ([early, other], 3001.0)], 1):
        payload = encode_measurements(rows)
        taken.append(scoring.take(decode_columns(payload), stored=START + SLOT + after, sequence=sequence))
    assert [batch.resettled for batch in taken] == [0, 1, 0]
    counts = scoring.compute(scoring.count(START // SLOT + 1)).snapshot.links[7].counts
    links = list(scoring.arrays.links)
    assert [counts[:, links.index(name)].argmax() for name in ("deed-civil", "deed-tax")] == [Stage.OK, Stage.INVALID]
    latest = scoring.recent.latest(scoring.recent.columns.of([prompt.target]))
    assert latest.numbers[3].tolist() == [round(prompt_time * 1e6)]


def test_only_targets_of_registers_are_kept(register: Register, tmp_path: Path) -> None:
    """Rows of targets that no register has had are refused in the index, the latest measurements and recalled rows.
    Their names are kept nowhere. A later register has its targets from then on.
    """
    scoring = Run(register, tmp_path).scoring
    known = set(register.targets)
    row = Measurement(Target("deed-civil"), "north", START, START + 5.0, OUTCOME_OF[Reason.OK], Reason.OK)
    rows = [*(replace(row, target=Target(f"junk-{number}")) for number in range(50)), row]
    batch = decode_columns(encode_measurements(rows))
    taken = scoring.take(batch, stored=START + 10.0, sequence=1)
    assert (taken.accepted, taken.refused["target"]) == (1, 50)
    scoring.recall(batch, stored=START + 10.0)
    scoring.recall(batch)
    assert set(scoring.evidence.columns.targets) == known
    update = scoring.save()
    assert update is not None
    assert set(update.changes.targets) == known
    assert [state.cells.shape for state in update.changes.slots] == [(1, len(known))]
    assert (
        scoring.compute(scoring.count(START // SLOT + 1))
        .snapshot.links[7]
        .counts[:, list(scoring.arrays.links).index("deed-civil")]
        .sum()
    )

    links = {name: link for name, link in register.links.items() if name != "deed-civil"}
    links["junk-1"] = replace(register.links["deed-civil"], id="junk-1")
    scoring.adopt(CompiledRegister.of(replace(register, links=links, register_version="c" * 64)))
    taken = scoring.take(batch, stored=START + 11.0, sequence=2)
    assert (taken.accepted, taken.refused["target"]) == (2, 49)


def test_late_arrival_makes_the_index_stale(register: Register, tmp_path: Path) -> None:
    """A row of a published slot makes a publication due, with that slot's chunk. A repeated row does not."""
    scoring = Run(register, tmp_path).scoring
    row = Measurement(Target("deed-civil"), "north", START, START + 5.0, OUTCOME_OF[Reason.OK], Reason.OK)
    payload = encode_measurements([row])
    end_slot = START // SLOT + 200
    scoring.published(scoring.compute(scoring.count(end_slot)).snapshot.end_slot)
    assert not scoring.stale
    scoring.take(decode_columns(payload), stored=START + 600.0, sequence=1)
    assert scoring.stale
    count = scoring.count(end_slot)
    chunk = START // SLOT // 64
    assert count.due.chunks == (range(chunk * 64, chunk * 64 + 64),)
    scoring.published(scoring.compute(count).snapshot.end_slot)
    scoring.take(decode_columns(payload), stored=START + 601.0, sequence=2)
    assert not scoring.stale


def test_what_comes_while_an_index_is_published_is_due_next(register: Register, tmp_path: Path) -> None:
    """A row of a slot that is being published for the first time makes another index due, for the row's group only."""
    scoring = Run(register, tmp_path).scoring
    row = Measurement(Target("deed-civil"), "north", START, START + 5.0, OUTCOME_OF[Reason.OK], Reason.OK)
    slot = START // SLOT
    first = scoring.compute(scoring.count(slot + 1))
    scoring.take(decode_columns(encode_measurements([row])), stored=START + 310.0, sequence=1)
    assert scoring.stale
    scoring.published(first.snapshot.end_slot)
    assert list(scoring.due(slot + 1).groups) == [group_of("land-registry")]
    assert len(scoring.compiled.groups) > 1
    scoring.publishing_failed()
    assert scoring.due(slot + 1).groups == scoring.compiled.groups
    assert scoring.due(slot + 1).groups == {}
    assert scoring.due(slot + 2).groups == scoring.compiled.groups


def test_what_comes_while_slots_are_put_is_in_the_index(register: Register, tmp_path: Path) -> None:
    """After everything due for a settled slot, rows that arrived meanwhile are due. They count, and their agency's
    blocks are urgent.
    """
    scoring = Run(register, tmp_path).scoring
    slot = START // SLOT
    scoring.published(scoring.compute(scoring.count(slot)).snapshot.end_slot)

    def late(target: str, sequence: int) -> None:
        row = Measurement(Target(target), "north", START - SLOT, START, OUTCOME_OF[Reason.OK], Reason.OK)
        later = replace(row, slot_start=START, time=START + 5.0)
        rows = [row] if sequence == 1 else [later]
        scoring.take(decode_columns(encode_measurements(rows)), stored=START + 310.0, sequence=sequence)

    late("birth-tax", 1)
    ahead = scoring.due(slot + 2)
    assert (ahead.groups, ahead.chunks[-1][-1], ahead.sequence) == (scoring.compiled.groups, slot + 1, 1)
    late("deed-civil", 2)
    count = scoring.count(slot + 2)
    assert [slot in chunk for chunk in count.due.chunks] == [True]
    assert list(count.due.groups) == [group_of("land-registry")]
    result = scoring.compute(count)
    assert set(result.urgent) == {"civil-registry", "land-registry"}
    assert result.snapshot.links[7].counts[:, list(scoring.arrays.links).index("deed-civil")].sum() == 1
    assert not scoring.stale
    scoring.publishing_failed()
    assert scoring.due(slot + 2).chunks == ahead.chunks


def test_failed_publication_is_due_again(register: Register, tmp_path: Path) -> None:
    """Chunks whose publication failed are due again."""
    scoring = Run(register, tmp_path).scoring
    for sequence, at in enumerate((START, START + 100 * SLOT), 1):
        row = Measurement(Target("deed-civil"), "north", at, at + 5.0, OUTCOME_OF[Reason.OK], Reason.OK)
        scoring.take(decode_columns(encode_measurements([row])), stored=at + 10.0, sequence=sequence)
    due = scoring.due(START // SLOT + 130)
    assert len(due.chunks) == 2
    scoring.publishing_failed()
    assert scoring.due(START // SLOT + 130).chunks == due.chunks


@pytest.mark.parametrize("cause", ["start", "register"])
def test_old_slots_do_not_keep_an_index(register: Register, tmp_path: Path, cause: str) -> None:
    """After a restart or with another register, an index waits only for the slots since the last one. Older slots are
    owed, the newest first, each until it is published.
    """
    run = Run(register, tmp_path)
    slots = [START // SLOT + later for later in (0, 100, 200)]
    for sequence, slot in enumerate(slots, 1):
        row = Measurement(
            Target("deed-civil"), "north", slot * SLOT, slot * SLOT + 5.0, OUTCOME_OF[Reason.OK], Reason.OK
        )
        run.scoring.take(decode_columns(encode_measurements([row])), stored=slot * SLOT + 10.0, sequence=sequence)
    run.scoring.published(run.scoring.compute(run.scoring.count(slots[-1] + 1)).snapshot.end_slot)
    assert run.scoring.owed() is None
    if cause == "start":
        run.save()
        run = Run(register, tmp_path)
    else:
        run.scoring.adopt(CompiledRegister.of(register))
    scoring = run.scoring
    (chunk,) = scoring.due(slots[-1] + 2).chunks
    assert slots[-1] in chunk
    for slot in (slots[1], slots[0]):
        owed = scoring.owed()
        assert owed is not None
        assert [slot in chunk for chunk in owed.chunks] == [True]
        assert owed.groups == scoring.compiled.groups
        again = scoring.owed()
        assert again is not None, "it is owed until it is published"
        assert again.chunks == owed.chunks
        scoring.settle(owed)
    assert scoring.owed() is None


def test_slots_that_become_owed_again_while_they_are_published_stay_owed(register: Register, tmp_path: Path) -> None:
    """A bucket that loses its slots while an owed chunk is put may have lost the first blocks of that chunk."""
    scoring = Run(register, tmp_path).scoring
    row = Measurement(Target("deed-civil"), "north", START, START + 5.0, OUTCOME_OF[Reason.OK], Reason.OK)
    scoring.take(decode_columns(encode_measurements([row])), stored=START + 10.0, sequence=1)
    scoring.due(START // SLOT + 1)
    scoring.owe()
    owed = scoring.owed()
    assert owed is not None
    scoring.owe()
    scoring.settle(owed)
    again = scoring.owed()
    assert again is not None
    assert again.chunks == owed.chunks
    scoring.settle(again)
    assert scoring.owed() is None


def test_what_another_scorer_published_does_not_keep_an_index(register: Register, tmp_path: Path) -> None:
    """However long a scorer stood by, its first index waits only for the slots since the other scorer's last index.
    The detail of the slots before is owed, as far back as detail is kept.
    """
    scoring = Run(register, tmp_path).scoring
    first = START // SLOT
    slots = range(first, first + 3 * DETAIL_SECONDS // SLOT, SLOTS_PER_BLOCK // 2)
    for sequence, slot in enumerate(slots, 1):
        row = Measurement(
            Target("deed-civil"), "north", slot * SLOT, slot * SLOT + 5.0, OUTCOME_OF[Reason.OK], Reason.OK
        )
        scoring.take(decode_columns(encode_measurements([row])), stored=slot * SLOT + 10.0, sequence=sequence)
        scoring.follow(slot * SLOT)
    (chunk,) = scoring.due(slots[-1] + 1).chunks
    assert slots[-1] in chunk
    owed: list[range] = []
    while (update := scoring.owed()) is not None:
        owed += update.chunks
        scoring.settle(update)
    kept = [slot for slot in slots if slots[-1] - DETAIL_SECONDS // SLOT < slot < chunk.start]
    assert {slot // SLOTS_PER_BLOCK for slot in kept} == {chunk.start // SLOTS_PER_BLOCK for chunk in owed}


def test_clock_may_step_back(register: Register, tmp_path: Path) -> None:
    """If the clock is set back, the index stays at what was published and closed."""
    run = Run(register, tmp_path)
    for message in stream(register, slots=40, seed=3):
        run.take(message)
    published = run.scoring.manifest.end_slot
    assert run.scoring.settled(START - 86_400) == published
