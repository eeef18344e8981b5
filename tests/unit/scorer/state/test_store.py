"""The scorer's state on disk survives saves, crashes and restarts, in simulated time."""

from __future__ import annotations

import random
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import orjson
import pytest

from services.core import files
from services.core.errors import StateError
from services.core.files import unsealed
from services.core.model.register import Register
from services.indicator.calendar import Calendar
from services.indicator.cells.closed_days import DayState
from services.indicator.cells.packing import EMPTY
from services.indicator.evidence import Evidence
from services.scorer.index import scoring
from services.scorer.index.results import CompiledRegister
from services.scorer.state import day_files, slot_files
from services.scorer.state import mapped_arrays as shelf
from services.scorer.state import store as store_module
from services.scorer.state.loading import MANIFESTS
from services.scorer.state.manifest import SavedState, StateManifest
from services.scorer.state.store import Store
from tests.support.cases.scoring import SLOT, START, CrashError, Run, crash, differences, register, stream

__all__ = ["register"]  # the fixture


@pytest.mark.parametrize("room", [store_module.SLOTS_ROOM, 3_000])
def test_crashes_change_nothing(register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """A run that crashes repeatedly, at any write of any save, ends with the totals of a run without crashes. This
    holds with room for all slots in memory or for a few.
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
    real_replace = files.replace
    left = 0

    def fragile_replace(path: Path, content: bytes) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            crash()
        real_replace(path, content)

    for module in (store_module, slot_files, day_files):
        monkeypatch.setattr(module, "replace", fragile_replace)
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


def test_nothing_new_needs_no_save(register: Register, tmp_path: Path) -> None:
    """Without new data nothing is saved, and after a restart the manifest is equal."""
    run = Run(register, tmp_path)
    for message in stream(register, slots=3, seed=1):
        run.take(message)
    run.save()
    assert run.scoring.save() is None
    assert Run(register, tmp_path).scoring.manifest == run.scoring.manifest


def test_what_is_dropped_first_after_a_start_is_removed(
    register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of slots that the first save after a start no longer keeps are removed."""
    monkeypatch.setattr(scoring, "DETAIL_SECONDS", 3600)
    messages = stream(register, slots=60, seed=2)
    run = Run(register, tmp_path)
    for message in messages[:70]:
        run.take(message)
    run.save()
    run = Run(register, tmp_path)
    for message in messages[70:]:
        run.take(message)
    run.save()
    listed = SavedState.decode(unsealed((run.store.folder / MANIFESTS[0]).read_bytes())).slots
    assert {int(path.stem) for path in run.store.folder.glob("slots/*")} == listed


@pytest.fixture(scope="module")
def saved(register: Register, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a run that closed a day."""
    folder = tmp_path_factory.mktemp("saved")
    run = Run(register, folder)
    for message in stream(register, slots=60, seed=2):
        run.take(message)
    run.save()
    return folder


def test_files_without_a_manifest_are_removed(register: Register, tmp_path: Path) -> None:
    """Files from before the first manifest are removed, because their columns have no meaning without it."""
    run = Run(register, tmp_path)
    for message in stream(register, slots=3, seed=1):
        run.take(message)
    run.save()
    for name in MANIFESTS:
        (run.store.folder / name).unlink()
    again = Run(register, tmp_path)
    assert again.scoring.evidence.last_slot is None
    assert not list(run.store.folder.glob("slots/*"))


def test_targets_that_are_known_are_not_made_again(register: Register, saved: Path) -> None:
    """Loaded state shares the register's targets, in the order of their columns, and creates the others."""
    store = Store(saved, Calendar.of(register.policy))
    alone = store.load().evidence.drain().targets
    known = CompiledRegister.of(register).arrays.targets[1:]
    shared = store.load(known).evidence.drain().targets
    assert shared == alone
    same = [any(one is other for other in known) for one in shared]
    assert same == [one in known for one in shared]
    assert 1 < sum(same) < len(same)


def test_what_was_half_written_goes_at_the_next_start(register: Register, saved: Path, tmp_path: Path) -> None:
    """A file that a crash left unfinished is removed, because a file of that name may never be written again."""
    data = shutil.copytree(saved, tmp_path / "data")
    (slot, *_), (day, *_) = data.glob("*/slots/*.cells"), data.glob("*/days/*.stages")
    (manifest,) = data.glob("*/manifest")
    for path in (slot, day, manifest):
        path.with_name(path.name + ".part").write_bytes(path.read_bytes()[:5])
    before = Run(register, saved).result(START // SLOT + 60)
    assert list(differences(before, Run(register, data).result(START // SLOT + 60))) == []
    assert not list(data.rglob("*.part"))


def test_state_of_a_scorer_that_took_in_nothing_is_read_back(register: Register, tmp_path: Path) -> None:
    """A manifest that was saved before the first measurement can be loaded."""
    Run(register, tmp_path).save()
    run = Run(register, tmp_path)
    assert run.scoring.manifest.register_version == register.register_version
    assert run.scoring.evidence.last_slot is None


def former(folder: Path, evidence: Evidence, manifest: StateManifest, junk: int) -> None:
    """Write evidence as version 0.2.0 did, with this many targets of no register before each target of the register."""
    changes = evidence.drain()
    width = junk + 1
    wide = [
        target
        for number, one in enumerate(changes.targets)
        for target in (*((f"junk-{number}-{at}", False) for at in range(junk)), (one.id, one.endpoint))
    ]
    for part in ("slots", "days"):
        (folder / part).mkdir(parents=True)
    (folder / "ids.json").write_bytes(orjson.dumps({"targets": wide, "vantages": changes.vantages}))
    for state in changes.slots:
        cells = np.full((len(state.cells), len(wide)), EMPTY, dtype=np.int64)
        cells[:, junk::width] = state.cells
        np.save(folder / "slots" / f"{state.slot}.npy", cells)
    for day in changes.days:
        vantages, targets, slots = day.shape
        stages = np.full((vantages, targets * width, slots), 5, dtype=np.int8)
        stages[:, junk::width] = np.concatenate([piece for _, piece in day.pieces()], axis=1)
        packed = DayState.pack(day.day, stages)
        content = np.frombuffer(packed.stages, dtype=np.uint8)
        np.savez(folder / "days" / f"{day.day}.npz", shape=np.array(packed.shape, dtype=np.int64), stages=content)
    (folder / "manifest.json").write_bytes(orjson.dumps({"format": 1, **asdict(manifest)}))


@pytest.mark.parametrize("junk", [0, 3])
def test_state_of_version_0_2_0_is_taken_over(register: Register, tmp_path: Path, junk: int) -> None:
    """Evidence of version 0.2.0 gives the same index, without targets of no register. Its folder stays unchanged."""
    run = Run(register, tmp_path / "new")
    for message in stream(register, slots=60, seed=2):
        run.take(message)
    expected = run.result(START // SLOT + 60)
    data = tmp_path / "data"
    folder = data / run.store.folder.name.removesuffix("-2")
    former(folder, run.scoring.evidence, run.scoring.manifest, junk)
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    for _ in range(2):
        taken_over = Run(register, data)
        assert taken_over.scoring.manifest == run.scoring.manifest
        assert set(taken_over.scoring.evidence.columns.targets) == set(register.targets)
        assert list(differences(expected, taken_over.result(START // SLOT + 60))) == []
        taken_over.save()
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_damaged_state_of_version_0_2_0_is_refused(register: Register, tmp_path: Path) -> None:
    """Without checksums nothing can be repaired: an unreadable file is reported, and nothing is written."""
    run = Run(register, tmp_path / "new")
    for message in stream(register, slots=3, seed=1):
        run.take(message)
    folder = tmp_path / "data" / run.store.folder.name.removesuffix("-2")
    former(folder, run.scoring.evidence, run.scoring.manifest, 0)
    path = next(folder.glob("slots/*.npy"))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(StateError) as caught:
        Run(register, tmp_path / "data")
    assert str(path) in str(caught.value)
