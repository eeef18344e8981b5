"""A spool on a disk that takes a file and then cannot make its name durable."""

from __future__ import annotations

from errno import EIO
from pathlib import Path

import pytest

from services.core import files
from services.prober.publishing.spool import Spool, SpooledMessage

MESSAGE = SpooledMessage.of("subject", b"payload")


def _opened(folder: Path, keep: float = 0.0) -> Spool:
    spool = Spool(folder, 1 << 20, keep=keep)
    spool.open()
    return spool


def _failing_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next sync of a folder fail."""
    sync = files.sync

    def fail(_folder: Path) -> None:
        monkeypatch.setattr(files, "sync", sync)
        raise OSError(EIO, "Input/output error")

    monkeypatch.setattr(files, "sync", fail)


async def test_a_file_whose_folder_was_not_synced_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch whose file was written and whose folder could not be synced is held in memory. Its file is removed, so
    that the next run does not send it again.
    """
    spool = _opened(tmp_path)
    _failing_once(monkeypatch)
    batch = await spool.add([MESSAGE], rows=3)
    assert (batch.path, batch.refusal) == (None, "Input/output error")
    await spool.acknowledged(batch, 1)
    kept = await spool.add([MESSAGE], rows=3)
    assert list(tmp_path.glob("*.batch")) == [kept.path]
    spool.close()


async def test_a_kept_file_whose_folder_was_not_synced_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of acknowledged batches that could not be made durable is not left on disk unnoticed."""
    spool = _opened(tmp_path, keep=3600.0)
    await spool.acknowledged(await spool.add([MESSAGE], rows=3), 1)
    _failing_once(monkeypatch)
    await spool.keep()
    pending = await spool.add([MESSAGE], rows=3)
    assert spool.kept.size == 0
    assert {path for path in tmp_path.iterdir() if path.name != "lock"} == {pending.path}
    spool.close()
