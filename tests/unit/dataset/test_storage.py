"""A folder as a storage names what it cannot do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.core.errors import StateError
from services.dataset.storage import LocalStorage


def test_an_empty_folder_that_stays_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be removed is an error that names it; otherwise empty folders go, and others stay."""
    storage = LocalStorage(tmp_path)
    storage.write("full/one", b"")
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rmdir", lambda _self: os.close(-1))
        with pytest.raises(StateError, match=f"empty/inside in {tmp_path} cannot be removed: Bad file descriptor"):
            storage.drop_empty_folders()
    storage.drop_empty_folders()
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
