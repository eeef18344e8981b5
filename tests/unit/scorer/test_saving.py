"""The state of a session is saved as long as every save succeeds."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest

from services.core.errors import StateError
from services.core.model import Register
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.saving import StateSaver
from services.scorer.state import slot_files
from tests.support.cases.scoring import SLOT, Run, differences, register, stream

__all__ = ["register"]  # the fixture


@pytest.mark.parametrize("stopped", [False, True])
async def test_nothing_is_saved_after_a_save_that_failed(
    register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, stopped: bool
) -> None:
    """Rows that arrive during a failing save are not recorded as saved by the last one, even if a stop comes meanwhile.
    After a restart the totals are those of an undisturbed run.
    """
    messages = stream(register, slots=20, seed=1)
    calm = Run(register, tmp_path / "calm")
    for message in messages:
        calm.take(message)
    run = Run(register, tmp_path / "failing")
    saver = StateSaver(run.scoring, run.store, EvidenceLock())
    for message in messages[:20]:
        run.take(message)
    await saver.save()
    begun, goes_on, write = Event(), Event(), slot_files.write

    def fail(*_: object) -> None:
        begun.set()
        goes_on.wait()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(slot_files, "write", fail)
    for message in messages[20:30]:
        run.take(message)
    saving = asyncio.create_task(saver.run())
    await asyncio.to_thread(begun.wait)
    for message in messages[30:40]:
        run.take(message)
    if stopped:
        saving.cancel()
        await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(StateError, match="No space left"):
        await saving
    monkeypatch.setattr(slot_files, "write", write)
    with suppress(StateError):
        await saver.save()

    again = Run(register, tmp_path / "failing")
    assert again.scoring.manifest.position.sequence == 20
    for message in messages[20:]:
        again.take(message)
    end_slot = int(messages[-1].time) // SLOT
    assert list(differences(calm.result(end_slot), again.result(end_slot))) == []


async def test_a_stop_in_a_save_that_succeeds_keeps_the_last_one(register: Register, tmp_path: Path) -> None:
    """A session that is stopped during a save also saves what came since before it ends."""
    messages = stream(register, slots=5, seed=2)
    run = Run(register, tmp_path)
    saver = StateSaver(run.scoring, run.store, EvidenceLock())
    for message in messages[:5]:
        run.take(message)
    saving = asyncio.create_task(saver.run())
    await asyncio.sleep(0)
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    for message in messages[5:]:
        run.take(message)
    await saver.save()
    assert Run(register, tmp_path).scoring.manifest.position.sequence == len(messages)
