"""Scoring over saves, crashes and restarts, with simulated time."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import date
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from registers import write_register

from services.core.codec import decode_columns, decode_measurements, encode_measurements, measurement_to_json
from services.core.errors import StateError
from services.core.evidence import Measurement, Target
from services.core.model import Register
from services.core.outcome import OUTCOME_OF, Reason
from services.indicator.calendar import Calendar
from services.indicator.index import Snapshot
from services.register.load import load
from services.scorer import shelf
from services.scorer import store as store_module
from services.scorer.gap import Position
from services.scorer.judgement import Adopted
from services.scorer.lines import read_measurements
from services.scorer.offline import admitted, score
from services.scorer.scoring import Scoring
from services.scorer.store import Store

SLOT = 300
START = 1_772_388_000  # 2026-03-01T18:00:00Z: in Tehran the day ends 30 slots later
START_OF_STREAM = Position("MEASUREMENTS", "monday", 0)
REASONS = [Reason.OK] * 6 + [Reason.ANSWER_TIMEOUT, Reason.STATUS, Reason.LATE, Reason.SHED]


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Register:
    """A register whose slots close an hour and a little after they end."""
    folder = tmp_path_factory.mktemp("register")
    return load(write_register(folder, policy_yaml=("grace_hours: 24", "grace_hours: 1")))


@dataclass(frozen=True)
class Stored:
    """A message of the stream."""

    sequence: int
    time: float
    payload: bytes


def stream(register: Register, *, slots: int, seed: int) -> list[Stored]:
    """Batches of every slot from two vantages: some late, some too late, some repeated."""
    chance = random.Random(seed)
    targets = [
        *(Target(name) for name in register.links),
        *(Target(name, endpoint=True) for name in register.endpoints),
    ]
    sent: list[tuple[float, bytes]] = []
    for slot in range(slots):
        start = START + slot * SLOT
        for vantage in ("north", "south"):
            rows = []
            for target in targets:
                reason = chance.choice(REASONS)
                rows.append(Measurement(target, vantage, start, start + 5.0, OUTCOME_OF[reason], reason))
            delay = chance.choice([0, 0, 0, 0, 0, 1_000, 3_500, 4_500])
            payload = encode_measurements(rows)
            sent.append((start + SLOT + 2 + delay, payload))
            if chance.random() < 0.2:
                sent.append((start + SLOT + 30 + delay, payload))
    sent.sort(key=lambda message: message[0])
    return [Stored(sequence, *message) for sequence, message in zip(count(1), sent, strict=False)]


class CrashError(Exception):
    """The process is gone."""


def crash() -> None:
    """What kill -9 does."""
    raise CrashError


class Run:
    """A scorer without a bus: takes in, publishes each slot, saves now and then; what is on disk survives it."""

    def __init__(self, register: Register, folder: Path) -> None:
        self.store = Store(folder, Calendar.of(register.policy))
        loaded = self.store.load()
        position = loaded.manifest.position if loaded.manifest else START_OF_STREAM
        self.scoring = Scoring(Adopted.of(register), loaded, position)

    def take(self, message: Stored) -> None:
        self.scoring.take(decode_columns(message.payload), stored=message.time, sequence=message.sequence)
        end_slot = self.scoring.settled(message.time)
        published = self.scoring.manifest.end_slot
        if published is None or end_slot > published:
            judgement = self.scoring.judge(end_slot)
            self.scoring.published(judgement)
            for _ in self.scoring.close():
                pass

    def save(self) -> None:
        save = self.scoring.save()
        if save is not None:
            self.store.save(save)
            self.store.let_go(self.scoring.evidence)

    def result(self, end_slot: int) -> Snapshot:
        return self.scoring.judge(end_slot).snapshot


def differences(one: Snapshot, other: Snapshot) -> Iterator[str]:
    """Whatever is not equal to the last bit."""
    for name in ("end_slot", "as_of", "register_version", "evidence_sequence", "windows"):
        if getattr(one, name) != getattr(other, name):
            yield name
    for mine, theirs in ((one.columns, other.columns), (one.links, other.links)):
        assert mine.keys() == theirs.keys()
        for key in mine:
            for field in fields(mine[key]):
                if not np.array_equal(
                    *(np.asarray(getattr(side[key], field.name)) for side in (mine, theirs))
                ) and not (_same_with_nan(getattr(mine[key], field.name), getattr(theirs[key], field.name))):
                    yield f"{key} {field.name}"


def _same_with_nan(one: object, other: object) -> bool:
    mine, theirs = np.asarray(one), np.asarray(other)
    return mine.dtype.kind == "f" and np.array_equal(mine, theirs, equal_nan=True)


@pytest.mark.parametrize("room", [store_module.SLOTS_ROOM, 3_000])
def test_crashes_change_nothing(register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """A run that crashes again and again, at any write of any save, ends with the totals of one that never did.

    With room for all slots in memory, or for a few.
    """
    seed = room + 1
    messages = stream(register, slots=60, seed=seed)
    end_slot = int(messages[-1].time) // SLOT
    calm = Run(register, tmp_path / "calm")
    for message in messages:
        calm.take(message)
        calm.save()
    assert calm.scoring.evidence.closed_before == START // SLOT + 30, "a day must close within the test"

    monkeypatch.setattr(store_module, "SLOTS_ROOM", room)
    monkeypatch.setattr(shelf, "SMALL", 0)
    chance = random.Random(seed)
    real_replace = store_module.replace
    left = 0

    def fragile_replace(path: Path, content: bytes) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            crash()
        real_replace(path, content)

    monkeypatch.setattr(store_module, "replace", fragile_replace)
    crashes = 0
    while True:
        left = chance.randrange(1, 40)
        run = Run(register, tmp_path / "crashing")
        try:
            for message in messages[run.scoring.manifest.position.sequence :]:
                run.take(message)
                if chance.random() < 0.3:
                    run.save()
                if chance.random() < 0.02:
                    crash()
            break
        except CrashError:
            crashes += 1
    assert crashes > 5
    assert list(differences(calm.result(end_slot), run.result(end_slot))) == []


@pytest.mark.parametrize("seed", range(2))
def test_a_dump_scores_alike(register: Register, tmp_path: Path, seed: int) -> None:
    """Over a closed day, late and repeated batches and a changed register, scoring the stream's dump gives the same bits."""
    links = dict(register.links)
    links["deed-tax"] = replace(links["deed-tax"], vantages=("south",), live_from=date(2026, 3, 2))
    links["birth-tax"] = replace(links["birth-tax"], service="tax-clearance", provider="customs")
    del links["permit-tax"]
    changed = replace(register, links=links, register_version="c" * 64)
    messages = stream(register, slots=60, seed=seed)
    run = Run(register, tmp_path / "state")
    for message in messages:
        if message.sequence == len(messages) - 20:
            run.scoring.adopt(Adopted.of(changed))
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
    found = score(changed, counted.batches, at=end_slot * SLOT, evidence_sequence=counted.sequence)
    assert list(differences(run.result(end_slot), found)) == []


def test_late_rows_are_counted_and_change_nothing(register: Register, tmp_path: Path) -> None:
    """Rows stored after their slot's grace are counted as late, those of slots to come or between slots as misplaced."""
    scoring = Run(register, tmp_path).scoring
    grace = register.policy.grace_seconds
    row = Measurement(Target("deed-civil"), "north", START, START + 5.0, OUTCOME_OF[Reason.OK], Reason.OK)
    stored = START + SLOT + grace + 1
    rows = [row, replace(row, slot_start=int(stored + 2 * SLOT)), replace(row, slot_start=START + 7 * SLOT + 1)]
    tallied = scoring.take(decode_columns(encode_measurements(rows)), stored=stored, sequence=1)
    assert (tallied.accepted, tallied.late, tallied.misplaced) == (0, 1, 2)
    assert scoring.manifest.position.sequence == 1
    assert scoring.judge(START // SLOT + 1).snapshot.links[7].counts[:, 3].sum() == 0


def test_late_arrival_makes_the_index_stale(register: Register, tmp_path: Path) -> None:
    """A row of a slot already published makes a new publication due, with that slot's chunk; a repeated one does not."""
    scoring = Run(register, tmp_path).scoring
    row = Measurement(Target("deed-civil"), "north", START, START + 5.0, OUTCOME_OF[Reason.OK], Reason.OK)
    payload = encode_measurements([row])
    end_slot = START // SLOT + 200
    scoring.published(scoring.judge(end_slot))
    assert not scoring.stale
    scoring.take(decode_columns(payload), stored=START + 600.0, sequence=1)
    assert scoring.stale
    count = scoring.count(end_slot)
    chunk = START // SLOT // 64
    assert count.due.chunks == (range(chunk * 64, chunk * 64 + 64),)
    scoring.published(scoring.compute(count))
    scoring.take(decode_columns(payload), stored=START + 601.0, sequence=2)
    assert not scoring.stale


def test_what_comes_while_an_index_is_published_is_due_next(register: Register, tmp_path: Path) -> None:
    """A row of a slot that is being published for the first time makes another index due, of the row's agency alone."""
    scoring = Run(register, tmp_path).scoring
    row = Measurement(Target("deed-civil"), "north", START, START + 5.0, OUTCOME_OF[Reason.OK], Reason.OK)
    slot = START // SLOT
    first = scoring.judge(slot + 1)
    scoring.take(decode_columns(encode_measurements([row])), stored=START + 310.0, sequence=1)
    assert scoring.stale
    scoring.published(first)
    assert list(scoring.due(slot + 1).agencies) == ["land-registry"]
    assert len(scoring.members) > 1
    scoring.unpublished()
    assert scoring.due(slot + 1).agencies == scoring.members
    assert scoring.due(slot + 1).agencies == {}
    assert scoring.due(slot + 2).agencies == scoring.members


def test_what_comes_while_slots_are_put_is_in_the_index(register: Register, tmp_path: Path) -> None:
    """Everything is due of a settled slot, then what came meanwhile: it counts, and its agency's blocks are urgent."""
    scoring = Run(register, tmp_path).scoring
    slot = START // SLOT
    scoring.published(scoring.judge(slot))

    def late(target: str, sequence: int) -> None:
        row = Measurement(Target(target), "north", START - SLOT, START, OUTCOME_OF[Reason.OK], Reason.OK)
        later = replace(row, slot_start=START, time=START + 5.0)
        rows = [row] if sequence == 1 else [later]
        scoring.take(decode_columns(encode_measurements(rows)), stored=START + 310.0, sequence=sequence)

    late("birth-tax", 1)
    ahead = scoring.due(slot + 2)
    assert (ahead.agencies, ahead.chunks[-1][-1], ahead.sequence) == (scoring.members, slot + 1, 1)
    late("deed-civil", 2)
    count = scoring.count(slot + 2)
    assert [slot in chunk for chunk in count.due.chunks] == [True]
    assert list(count.due.agencies) == ["land-registry"]
    judgement = scoring.compute(count)
    assert set(judgement.urgent) == {"civil-registry", "land-registry"}
    assert judgement.snapshot.links[7].counts[:, list(scoring.frame.links).index("deed-civil")].sum() == 1
    assert not scoring.stale
    scoring.unpublished()
    assert scoring.due(slot + 2).chunks == ahead.chunks


def test_failed_publication_is_due_again(register: Register, tmp_path: Path) -> None:
    """Chunks whose publication failed are offered again."""
    scoring = Run(register, tmp_path).scoring
    for sequence, at in enumerate((START, START + 100 * SLOT), 1):
        row = Measurement(Target("deed-civil"), "north", at, at + 5.0, OUTCOME_OF[Reason.OK], Reason.OK)
        scoring.take(decode_columns(encode_measurements([row])), stored=at + 10.0, sequence=sequence)
    due = scoring.due(START // SLOT + 130)
    assert len(due.chunks) == 2
    scoring.unpublished()
    assert scoring.due(START // SLOT + 130).chunks == due.chunks


def test_nothing_new_needs_no_save(register: Register, tmp_path: Path) -> None:
    """A save without anything new writes nothing; after a restart the manifest says the same."""
    run = Run(register, tmp_path)
    for message in stream(register, slots=3, seed=1):
        run.take(message)
    run.save()
    assert run.scoring.save() is None
    assert Run(register, tmp_path).scoring.manifest == run.scoring.manifest


@pytest.fixture(scope="module")
def saved(register: Register, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a run that closed a day."""
    folder = tmp_path_factory.mktemp("saved")
    run = Run(register, folder)
    for message in stream(register, slots=60, seed=2):
        run.take(message)
    run.save()
    return folder


@pytest.mark.parametrize("room", [store_module.SLOTS_ROOM, 0])
@pytest.mark.parametrize("left", [7, -1])
@pytest.mark.parametrize("name", ["manifest.json", "ids.json", "slots/*.npy", "days/*.npz"])
def test_damaged_state_is_refused(
    register: Register, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, left: int, room: int
) -> None:
    """A state file that cannot be read is refused by name, never taken for an empty one, whether it is read at once or not."""
    monkeypatch.setattr(store_module, "SLOTS_ROOM", room)
    data = shutil.copytree(saved, tmp_path / "data")
    path = next(data.glob(f"*/{name}"))
    path.write_bytes(path.read_bytes().rstrip()[:left])
    with pytest.raises(StateError) as caught:
        Run(register, data)
    assert str(path) in str(caught.value)


def test_a_day_without_stages_is_refused(register: Register, saved: Path, tmp_path: Path) -> None:
    """A day's file of a version that kept counts alone is refused by name: nothing can be judged anew from it."""
    data = shutil.copytree(saved, tmp_path / "data")
    (path,) = data.glob("*/days/*.npz")
    np.savez(path, counts=np.zeros((6, 3), np.uint16))
    with pytest.raises(StateError) as caught:
        Run(register, data)
    assert str(caught.value) == (
        f"the scorer's state file {path} is of an earlier version, which kept no stages of closed days: move its evidence "
        "folder away to start anew from what MEASUREMENTS still holds"
    )


def test_leftovers_without_a_manifest_are_nobodys(register: Register, tmp_path: Path) -> None:
    """Files of a run that ended before its first manifest are removed: their columns mean nothing without it."""
    run = Run(register, tmp_path)
    for message in stream(register, slots=3, seed=1):
        run.take(message)
    run.save()
    (run.store.folder / "manifest.json").unlink()
    again = Run(register, tmp_path)
    assert again.scoring.evidence.last_slot is None
    assert not list(run.store.folder.glob("slots/*"))


def test_targets_that_are_known_are_not_made_again(register: Register, saved: Path) -> None:
    """What is read back shares the targets of the register, in the order they were first heard of, and makes the others."""
    store = Store(saved, Calendar.of(register.policy))
    alone = store.load().evidence.drain().targets
    known = Adopted.of(register).frame.targets[1:]
    shared = store.load(known).evidence.drain().targets
    assert shared == alone
    same = [any(one is other for other in known) for one in shared]
    assert same == [one in known for one in shared]
    assert 1 < sum(same) < len(same)


def test_what_was_half_written_goes_at_the_next_start(register: Register, saved: Path, tmp_path: Path) -> None:
    """A file that a crash left unfinished is removed: nothing may ever write a file of that name again."""
    data = shutil.copytree(saved, tmp_path / "data")
    (slot, *_), (day, *_) = data.glob("*/slots/*.npy"), data.glob("*/days/*.npz")
    for path in (slot, day):
        path.with_name(path.name + ".part").write_bytes(path.read_bytes()[:5])
    before = Run(register, saved).result(START // SLOT + 60)
    assert list(differences(before, Run(register, data).result(START // SLOT + 60))) == []
    assert not list(data.glob("*/*/*.part"))


def test_clock_may_step_back(register: Register, tmp_path: Path) -> None:
    """When the clock is set back, the index stays at what was published and closed."""
    run = Run(register, tmp_path)
    for message in stream(register, slots=40, seed=3):
        run.take(message)
    published = run.scoring.manifest.end_slot
    assert run.scoring.settled(START - 86_400) == published


def test_state_of_a_scorer_that_took_in_nothing_is_read_back(register: Register, tmp_path: Path) -> None:
    """A manifest saved before the first measurement is a state like any other."""
    Run(register, tmp_path).save()
    run = Run(register, tmp_path)
    assert run.scoring.manifest.register_version == register.register_version
    assert run.scoring.evidence.last_slot is None
