"""A scorer that lost its folder, or files in it, continues from a dataset and the rest of the stream, bit for bit."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from services.core.errors import GapError, StateError
from services.core.model.register import Policy, Register
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.indicator.calendar import Calendar
from services.indicator.index.snapshot import Snapshot
from services.scorer.index import scoring
from tests.support.cases.datasets.sealed import sealed_dataset
from tests.support.cases.scoring import KeptStream, Run, Stored, differences, stream
from tests.support.cases.scoring import register_of_long_slots as register

__all__ = ["register"]

SLOTS = 235  # 10 of a first day, two whole days, and some of a day in progress
MOMENTS = 4


@pytest.fixture(scope="module")
def messages(register: Register) -> list[Stored]:
    return stream(register, slots=SLOTS, seed=5)


def dataset_of(folder: Path, register: Register, messages: Sequence[Stored]) -> LocalStorage:
    """Return the dataset of the first messages of the stream."""
    return sealed_dataset(folder, register, messages, SigningKey.generate("archive.example"))


def indexes(run: Run, messages: Sequence[Stored], moments: set[int]) -> dict[int, Snapshot]:
    """Return the index at some messages and after the last, for a run that reads those after its position."""
    found = {}
    for message in messages[run.scoring.manifest.position.sequence :]:
        run.take(message)
        if message.sequence in moments or message is messages[-1]:
            found[message.sequence] = run.result(run.scoring.settled(message.time))
    return found


@pytest.fixture(scope="module")
def undisturbed(
    register: Register, messages: list[Stored], tmp_path_factory: pytest.TempPathFactory
) -> dict[int, Snapshot]:
    """The indexes of a scorer that lost nothing, at every examined moment."""
    chance = random.Random(2)
    moments = set(chance.sample(range(70, len(messages)), 4 * MOMENTS))
    return indexes(Run(register, tmp_path_factory.mktemp("scorer")), messages, moments)


@pytest.mark.parametrize("lost_at", range(MOMENTS))
def test_a_lost_folder_is_rebuilt(
    register: Register, messages: list[Stored], undisturbed: dict[int, Snapshot], tmp_path: Path, lost_at: int
) -> None:
    """Whenever the folder is lost, and whatever the stream still holds, every later index is that of a run without a
    loss. Rows are late, repeated and grace-expired too. Content from the dataset is saved.
    """
    chance = random.Random(lost_at)
    taken = chance.randrange(len(messages) // 8, len(messages) - 10)
    storage = dataset_of(tmp_path / "dataset", register, messages[:taken])
    kept = KeptStream(messages, first=chance.choice([taken + 1, taken - 5, taken // 2 + 2]))
    run = Run(register, tmp_path / "scorer", kept, dataset=storage.address)
    assert run.scoring.manifest.position.sequence == taken
    run.save()
    shutil.rmtree(tmp_path / "dataset")
    found = indexes(Run(register, tmp_path / "scorer", kept, dataset=storage.address), messages, set(undisturbed))
    assert len(found) > 0
    for sequence, snapshot in found.items():
        assert list(differences(undisturbed[sequence], snapshot)) == []


def test_a_stream_that_holds_everything_is_enough(register: Register, messages: list[Stored], tmp_path: Path) -> None:
    """A dataset is not read if the stream holds everything, or if nothing was archived yet."""
    run = Run(register, tmp_path / "scorer", KeptStream(messages), dataset=str(tmp_path / "none"))
    assert run.scoring.manifest.position.sequence == 0
    with pytest.raises(GapError, match="messages 1 to 8 of stream MEASUREMENTS are gone"):
        Run(register, tmp_path / "scorer", KeptStream(messages, first=9), dataset=str(tmp_path / "none"))


def test_what_neither_holds_is_named(register: Register, messages: list[Stored], tmp_path: Path) -> None:
    """Messages between the dataset and the stream are a gap, which can be accepted."""
    storage, kept = dataset_of(tmp_path / "dataset", register, messages[:300]), KeptStream(messages, first=304)
    with pytest.raises(GapError, match="messages 301 to 303 of stream MEASUREMENTS are gone, not taken in: start once"):
        Run(register, tmp_path / "scorer", kept, dataset=storage.address)
    run = Run(register, tmp_path / "scorer", kept, accept=True, dataset=storage.address)
    assert run.scoring.manifest.position.sequence == 303
    assert len(run.scoring.evidence.closed_days) > 0


def begun_again(messages: Sequence[Stored]) -> KeptStream:
    """Return the stream that was recreated before these messages."""
    created = datetime.fromtimestamp(messages[0].time - 1, UTC)
    again = [replace(message, sequence=number) for number, message in enumerate(messages, 1)]
    return KeptStream(again, created=f"{created:%Y-%m-%dT%H:%M:%S.%fZ}")


def is_last_of(expected: dict[int, Snapshot], run: Run, kept: KeptStream) -> bool:
    """Return whether a run that reads the rest of a stream has the last of these indexes."""
    found = indexes(run, kept.messages, set())[kept.messages[-1].sequence]
    return set(differences(expected[max(expected)], found)) <= {"evidence_sequence"}


def test_a_lost_folder_is_rebuilt_where_the_stream_began_again(
    register: Register, messages: list[Stored], undisturbed: dict[int, Snapshot], tmp_path: Path
) -> None:
    """Messages from before a stream was recreated come from the dataset, once the gap between the two is accepted."""
    storage, kept = dataset_of(tmp_path / "dataset", register, messages[:300]), begun_again(messages[300:])
    with pytest.raises(GapError, match="was created anew"):
        Run(register, tmp_path / "scorer", kept, dataset=storage.address)
    run = Run(register, tmp_path / "scorer", kept, accept=True, dataset=storage.address)
    assert is_last_of(undisturbed, run, kept)


def test_damage_is_not_made_good_by_a_stream_that_began_later(
    register: Register, messages: list[Stored], aged: tuple[Path, int, dict[int, Snapshot]], tmp_path: Path
) -> None:
    """A damaged closed day from before the stream was recreated is not in it, whatever the stream has. The day is
    reported as lost or comes from the dataset.
    """
    folder, taken, expected = aged
    data = shutil.copytree(folder, tmp_path / "scorer")
    kept = begun_again(messages[taken:])
    run = Run(register, data, kept, accept=True)
    run.take(kept.messages[0])
    run.save()
    (path, *_) = sorted(data.glob("*/days/*"))
    path.write_bytes(b"")
    with pytest.raises(GapError, match=r"no longer holds it: .* held the closed day"):
        Run(register, data, kept)
    storage = dataset_of(tmp_path / "dataset", register, messages[:taken])
    mended = Run(register, data, kept, dataset=storage.address)
    assert is_last_of(expected, mended, kept)


def test_what_the_stream_still_holds_of_a_lost_day_counts(
    register: Register, messages: list[Stored], aged: tuple[Path, int, dict[int, Snapshot]], tmp_path: Path
) -> None:
    """If a damaged closed day is partly gone from the stream and its loss is accepted, its other hours are known."""
    folder, taken, _ = aged
    data = shutil.copytree(folder, tmp_path / "scorer")
    path = max(data.glob("*/days/*"))
    path.write_bytes(b"")
    calendar = Calendar.of(register.policy)
    slots = calendar.slots_of(date.fromisoformat(path.stem))
    noon = calendar.start_of(slots[len(slots) // 2])
    kept = KeptStream(messages, first=next(one.sequence for one in messages if one.time > noon))
    with pytest.raises(GapError, match="held the closed day"):
        Run(register, data, kept)
    run = Run(register, data, kept, accept=True)
    for message in messages[run.scoring.manifest.position.sequence : taken]:
        run.take(message)
    known = np.flatnonzero((run.scoring.evidence.verdicts(run.scoring.arrays, slots) >= 0).any(axis=1))
    assert set(range(len(slots) // 2 + 1, len(slots))) <= set(known.tolist()) < set(range(len(slots)))


def test_a_damaged_dataset_is_refused(register: Register, messages: list[Stored], tmp_path: Path) -> None:
    """Nothing is rebuilt from a sealed file with other bytes."""
    storage = dataset_of(tmp_path / "dataset", register, messages[:300])
    (name, *_) = storage.names("sealed/kind=link_day")
    storage.write(name, storage.read(name)[:-1] + b"x")
    with pytest.raises(StateError, match="are not those that were sealed"):
        Run(register, tmp_path / "scorer", KeptStream(messages, first=304), dataset=storage.address)


@pytest.fixture(scope="module")
def aged(
    register: Register, messages: list[Stored], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int, dict[int, Snapshot]]:
    """The folder of a scorer, the number of messages that it had read, and the index after all of them."""
    folder, taken = tmp_path_factory.mktemp("aged"), len(messages) - 40
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "DETAIL_SECONDS", 3600)
        run = Run(register, folder)
        for message in messages[:taken]:
            run.take(message)
        run.save()
    return folder, taken, indexes(run, messages, set())


@pytest.mark.parametrize(
    ("pattern", "behind"), [("manifest*", 0), ("ids*", 100), ("days/*", 0), ("days/*", 100), ("slots/*", 0)]
)
def test_damage_is_made_good_from_the_dataset(
    register: Register,
    messages: list[Stored],
    aged: tuple[Path, int, dict[int, Snapshot]],
    tmp_path: Path,
    pattern: str,
    behind: int,
) -> None:
    """Content of damaged files that is gone from the stream comes from the dataset, even from one behind the scorer. It
    is saved before the next message, so a scorer that is killed then needs the dataset no more.
    """
    folder, taken, expected = aged
    data = shutil.copytree(folder, tmp_path / "scorer")
    chosen = sorted(data.glob(f"*/{pattern}"))
    for path in chosen if "/" not in pattern else (chosen[0], chosen[-1]):
        path.write_bytes(path.read_bytes()[:-1])
    storage = dataset_of(tmp_path / "dataset", register, messages[: taken - behind])
    kept = KeptStream(messages, first=taken - behind + 1)
    with pytest.raises(GapError, match=r"no longer holds it, nor does the dataset in .*/none: "):
        Run(register, data, kept, dataset=str(tmp_path / "none"))
    Run(register, data, kept, dataset=storage.address).save()
    for sequence, snapshot in indexes(Run(register, data, kept), messages, set()).items():
        assert list(differences(expected[sequence], snapshot)) == []


def stopped_after(messages: Sequence[Stored], register: Register, folder: Path) -> Path:
    """Return the folder of a scorer that stopped after these messages."""
    run = Run(register, folder)
    for message in messages:
        run.take(message)
    run.save()
    return folder


@pytest.mark.parametrize("archived", [470, 140])
def test_a_gap_after_the_folder_is_filled(
    register: Register, messages: list[Stored], undisturbed: dict[int, Snapshot], tmp_path: Path, archived: int
) -> None:
    """If the stream has lost messages that a folder lacks, they come from a dataset that has them, sealed days too.
    What the dataset lacks as well is a gap, which names the rest. What was restored is saved before the next message.
    """
    data = stopped_after(messages[:120], register, tmp_path / "scorer")
    storage, kept = dataset_of(tmp_path / "dataset", register, messages[:archived]), KeptStream(messages, archived + 1)
    with pytest.raises(GapError, match=f"messages 121 to {archived} of stream MEASUREMENTS are gone"):
        Run(register, data, kept, dataset=str(tmp_path / "none"))
    with pytest.raises(GapError, match=f"messages {archived + 1} to {archived + 5} of stream MEASUREMENTS are gone"):
        Run(register, data, KeptStream(messages, archived + 6), dataset=storage.address)
    run = Run(register, data, kept, dataset=storage.address)
    assert run.scoring.manifest.position.sequence == archived
    run.save()
    found = indexes(Run(register, data, kept), messages, set(undisturbed))
    for sequence, snapshot in found.items():
        assert list(differences(undisturbed[sequence], snapshot)) == []


def test_a_dataset_behind_the_folder_fills_nothing(register: Register, messages: list[Stored], tmp_path: Path) -> None:
    """A dataset that ends before the folder does is not read, and the gap is named as without one."""
    data = stopped_after(messages[:120], register, tmp_path / "scorer")
    storage, kept = dataset_of(tmp_path / "dataset", register, messages[:120]), KeptStream(messages, 200)
    with pytest.raises(GapError, match="messages 121 to 199 of stream MEASUREMENTS are gone"):
        Run(register, data, kept, dataset=storage.address)


CALENDARS: dict[str, Callable[[Policy], Policy]] = {
    "timezone": lambda policy: replace(policy, timezone="UTC"),
    "slots": lambda policy: replace(policy, slot_seconds=1800),
}


@pytest.mark.parametrize("changed", CALENDARS)
def test_a_dataset_of_another_calendar_is_counted_again(
    register: Register, messages: list[Stored], tmp_path: Path, changed: str
) -> None:
    """Days sealed with another timezone or slot length are counted again by their measurements."""
    storage: LocalStorage = dataset_of(tmp_path / "dataset", register, messages[:300])
    other = replace(register, policy=CALENDARS[changed](register.policy))
    kept = KeptStream(messages[:340], first=301)
    expected = indexes(Run(other, tmp_path / "whole"), kept.messages, set())
    found = indexes(Run(other, tmp_path / "scorer", kept, dataset=storage.address), kept.messages, set())
    assert found.keys() == expected.keys()
    for sequence, snapshot in found.items():
        assert list(differences(expected[sequence], snapshot)) == []
