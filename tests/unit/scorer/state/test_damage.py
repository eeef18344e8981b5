"""Damage to any file of the evidence is noticed, set aside, and repaired from the stream or reported as a loss."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.core.errors import GapError, StateError
from services.core.model.register import Register
from services.indicator.index.snapshot import Snapshot
from services.scorer.index import scoring
from services.scorer.state import store as store_module
from services.scorer.state.store import SLOTS_ROOM
from tests.support.cases.scoring import LONG_SLOT, START, KeptStream, Run, Stored, differences, stream
from tests.support.cases.scoring import register_of_long_slots as register

__all__ = ["register"]  # the fixture


@dataclass(frozen=True)
class Saved:
    """A run of several days that was saved before its last messages, and the index after all of them."""

    folder: Path
    messages: Sequence[Stored]
    taken: int
    index: Snapshot


SLOTS = 10 + 96 + 40  # the rest of a day, another day, and some hours
END_SLOT = START // LONG_SLOT + SLOTS


def index_of(run: Run, messages: Sequence[Stored]) -> Snapshot:
    """Return the index of a run after the rest of the messages."""
    for message in messages[run.scoring.manifest.position.sequence :]:
        run.take(message)
    return run.result(END_SLOT)


@pytest.fixture(scope="module")
def saved(register: Register, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A run over three days, two of them closed, saved at two moments."""
    return saved_in(tmp_path_factory.mktemp("saved"), register)


@pytest.fixture(scope="module")
def aged(register: Register, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """The same, without the details of closed days."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "DETAIL_SECONDS", 3600)
        return saved_in(tmp_path_factory.mktemp("aged"), register)


def saved_in(folder: Path, register: Register) -> Saved:
    """Return a run that was saved in this folder."""
    messages = stream(register, slots=SLOTS, seed=5)
    run, taken = Run(register, folder), len(messages) - 40
    for message in messages[:taken]:
        run.take(message)
        if message.sequence in (taken - 30, taken):
            run.save()
    assert len(run.scoring.evidence.closed_days) == 2
    return Saved(folder, messages, taken, index_of(run, messages))


def flipped(data: bytes) -> bytes:
    """Return the data with one bit changed somewhere."""
    position = random.Random(len(data)).randrange(len(data))
    return data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :]


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a bit": lambda path: path.write_bytes(flipped(path.read_bytes())),
    "its end": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "all of it": lambda path: path.write_bytes(b""),
    "the file": lambda path: path.unlink(),
}
FILES = ["manifest", "manifest.copy", "ids*", "ids", "ids.copy", "days/*", "slots/*"]
CASES = [
    ("manifest*", "a bit", SLOTS_ROOM),  # without any manifest there is no state
    *((pattern, how, SLOTS_ROOM) for pattern in FILES for how in ("a bit", "the file")),
    *((pattern, how, 0) for pattern in ("days/*", "slots/*") for how in DAMAGES),
]


def damage(folder: Path, pattern: str, how: str) -> list[Path]:
    """Damage every matching file, or of slots and days the first, a middle one and the last."""
    paths = sorted(folder.glob(f"*/{pattern}"))
    chosen = paths if "/" not in pattern else sorted({paths[0], paths[len(paths) // 2], paths[-1]})
    for path in chosen:
        DAMAGES[how](path)
    return chosen


@pytest.mark.parametrize(("pattern", "how", "room"), CASES)
def test_damage_is_made_good_from_the_stream(
    register: Register,
    saved: Saved,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pattern: str,
    how: str,
    room: int,
) -> None:
    """Whatever happens to a file, the index is that of a run without damage, now and after another restart. The damaged
    file is kept beside the others.
    """
    monkeypatch.setattr(store_module, "SLOTS_ROOM", room)
    data = shutil.copytree(saved.folder, tmp_path / "data")
    chosen = damage(data, pattern, how)
    run = Run(register, data, KeptStream(saved.messages))
    kept = [path.with_name(f"{path.name}.damaged").exists() for path in chosen]
    assert kept == [how != "the file"] * len(chosen)
    assert list(differences(saved.index, index_of(run, saved.messages))) == []
    run.save()
    assert list(differences(saved.index, Run(register, data).result(END_SLOT))) == []


@pytest.mark.parametrize("pattern", ["manifest*", "ids*", "days/*"])
def test_what_the_stream_no_longer_holds_is_named(
    register: Register, aged: Saved, tmp_path: Path, pattern: str
) -> None:
    """If the stream has lost the content of a damaged file, the scorer refuses to start each time until that is
    accepted. Then it continues with all that the stream still holds, and nothing is missing afterwards.
    """
    data = shutil.copytree(aged.folder, tmp_path / "data")
    chosen = damage(data, pattern, "a bit")
    kept = KeptStream(aged.messages, first=aged.taken - 2)
    for _ in range(2):
        with pytest.raises(GapError, match="stream MEASUREMENTS no longer holds it") as caught:
            Run(register, data, kept)
        assert str(chosen[0]) in str(caught.value)
    run = Run(register, data, kept, accept=True)
    assert run.scoring.manifest.position.sequence == kept.first - 1
    accepted = index_of(run, aged.messages)
    assert list(differences(aged.index, accepted)) != [] or pattern == "manifest*"
    run.save()
    assert list(differences(accepted, Run(register, data).result(END_SLOT))) == []


def test_a_crash_while_damage_is_made_good_changes_nothing(register: Register, saved: Saved, tmp_path: Path) -> None:
    """A day that is read again is complete, however often the scorer crashes before it is closed again."""
    data = shutil.copytree(saved.folder, tmp_path / "data")
    damage(data, "days/*", "a bit")
    chance = random.Random(1)
    for _ in range(12):
        run = Run(register, data, KeptStream(saved.messages))
        for message in saved.messages[run.scoring.manifest.position.sequence :][: chance.randrange(120)]:
            run.take(message)
            if chance.random() < 0.1:
                run.save()
    run = Run(register, data, KeptStream(saved.messages))
    assert list(differences(saved.index, index_of(run, saved.messages))) == []


def failing(path: Path, code: int) -> Callable[[Path], bytes]:
    """Return a ``Path.read_bytes`` that fails for one path."""
    real = Path.read_bytes

    def read_bytes(one: Path) -> bytes:
        if one == path:
            raise OSError(code, os.strerror(code))
        return real(one)

    return read_bytes


def test_a_day_on_a_bad_sector_is_damaged(
    register: Register, saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed day whose file the disk cannot read is set aside and repaired, like any other damage."""
    data = shutil.copytree(saved.folder, tmp_path / "data")
    path = min(data.glob("*/days/*"))
    monkeypatch.setattr(Path, "read_bytes", failing(path, errno.EIO))
    run = Run(register, data, KeptStream(saved.messages))
    assert path.with_name(f"{path.name}.damaged").exists()
    assert list(differences(saved.index, index_of(run, saved.messages))) == []


@pytest.mark.parametrize(
    ("code", "sentence"), [(errno.EIO, "is damaged: start the scorer again"), (errno.EACCES, "cannot be read: Perm")]
)
def test_a_day_that_cannot_be_read_back_ends_the_scorer(
    register: Register,
    saved: Saved,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    sentence: str,
) -> None:
    """A closed day that was written but cannot be read back is reported in a sentence with its path."""
    run = Run(register, tmp_path)
    for message in saved.messages[:100]:
        run.take(message)
    (day,) = run.scoring.evidence.closed_days
    path = run.store.folder / "days" / f"{day}.stages"
    monkeypatch.setattr(Path, "read_bytes", failing(path, code))
    with pytest.raises(StateError, match=f"{path} {sentence}"):
        run.save()
