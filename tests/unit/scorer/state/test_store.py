"""The scorer's state on disk over saves, crashes and restarts, with simulated time."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from services.core import files
from services.core.errors import StateError
from services.core.model.register import Register
from services.indicator.calendar import Calendar
from services.scorer.index.results import CompiledRegister
from services.scorer.state import mapped_arrays as shelf
from services.scorer.state import store as store_module
from services.scorer.state.store import Store
from tests.support.cases.scoring import SLOT, START, CrashError, Run, crash, differences, register, stream

__all__ = ["register"]  # the fixture


@pytest.mark.parametrize("room", [store_module.SLOTS_ROOM, 3_000])
def test_crashes_change_nothing(register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """A run that crashes again and again, at any write of any save, ends with the totals of one that does not, with
    room for all slots in memory or for a few.
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


def test_nothing_new_needs_no_save(register: Register, tmp_path: Path) -> None:
    """Without anything new nothing is saved; after a restart the manifest is equal."""
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
    """An unreadable state file is refused by name, and not taken for an empty one, whether it is read at once or
    later.
    """
    monkeypatch.setattr(store_module, "SLOTS_ROOM", room)
    data = shutil.copytree(saved, tmp_path / "data")
    path = next(data.glob(f"*/{name}"))
    path.write_bytes(path.read_bytes().rstrip()[:left])
    with pytest.raises(StateError) as caught:
        Run(register, data)
    assert str(path) in str(caught.value)


def test_a_state_of_another_format_is_refused(register: Register, saved: Path, tmp_path: Path) -> None:
    """A manifest of another format is refused by name."""
    data = shutil.copytree(saved, tmp_path / "data")
    (path,) = data.glob("*/manifest.json")
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(StateError) as caught:
        Run(register, data)
    assert str(caught.value) == (
        f"{path} has format 99, and this version reads 1: move its folder away to start anew from what MEASUREMENTS still "
        "holds"
    )


def test_files_without_a_manifest_are_removed(register: Register, tmp_path: Path) -> None:
    """Files of a run that ended before its first manifest are removed: without it their columns have no meaning."""
    run = Run(register, tmp_path)
    for message in stream(register, slots=3, seed=1):
        run.take(message)
    run.save()
    (run.store.folder / "manifest.json").unlink()
    again = Run(register, tmp_path)
    assert again.scoring.evidence.last_slot is None
    assert not list(run.store.folder.glob("slots/*"))


def test_targets_that_are_known_are_not_made_again(register: Register, saved: Path) -> None:
    """What is read back shares the targets of the register, in the order of their first measurement, and creates the
    others.
    """
    store = Store(saved, Calendar.of(register.policy))
    alone = store.load().evidence.drain().targets
    known = CompiledRegister.of(register).arrays.targets[1:]
    shared = store.load(known).evidence.drain().targets
    assert shared == alone
    same = [any(one is other for other in known) for one in shared]
    assert same == [one in known for one in shared]
    assert 1 < sum(same) < len(same)


def test_what_was_half_written_goes_at_the_next_start(register: Register, saved: Path, tmp_path: Path) -> None:
    """A file that a crash left unfinished is removed, as a file of that name may never be written again."""
    data = shutil.copytree(saved, tmp_path / "data")
    (slot, *_), (day, *_) = data.glob("*/slots/*.npy"), data.glob("*/days/*.npz")
    for path in (slot, day):
        path.with_name(path.name + ".part").write_bytes(path.read_bytes()[:5])
    before = Run(register, saved).result(START // SLOT + 60)
    assert list(differences(before, Run(register, data).result(START // SLOT + 60))) == []
    assert not list(data.glob("*/*/*.part"))


def test_state_of_a_scorer_that_took_in_nothing_is_read_back(register: Register, tmp_path: Path) -> None:
    """A manifest saved before the first measurement is a state like any other."""
    Run(register, tmp_path).save()
    run = Run(register, tmp_path)
    assert run.scoring.manifest.register_version == register.register_version
    assert run.scoring.evidence.last_slot is None
