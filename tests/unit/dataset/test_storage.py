"""A folder as a storage names what it cannot do."""

from __future__ import annotations

import os
from errno import EACCES, ENOENT
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from services.core.errors import StateError
from services.dataset.storage import LocalStorage, open_storage


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


def _refuse(monkeypatch: pytest.MonkeyPatch, folder: Path, code: int) -> None:
    """Let the system refuse to list a folder, as it does for any user but root."""
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path) == str(folder):
            raise OSError(code, os.strerror(code), str(folder))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)


def test_a_folder_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder below that cannot be listed is an error that names it, instead of a folder without files."""
    storage = LocalStorage(tmp_path)
    storage.write("open/measurement/one", b"")
    _refuse(monkeypatch, tmp_path / "open" / "measurement", EACCES)
    with pytest.raises(StateError, match=r"open/measurement in .* cannot be listed: Permission denied"):
        storage.names("open")


def test_a_folder_that_is_not_there_has_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder that does not exist, or that is removed while it is listed, has no files."""
    storage = LocalStorage(tmp_path)
    assert storage.names("open") == []
    storage.write("open/measurement/one", b"")
    _refuse(monkeypatch, tmp_path / "open" / "measurement", ENOENT)
    assert storage.names("open") == []


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    """A pipe, whose reader would wait, and a device without an end are refused, also through a link."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    writer = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)  # so that no reader waits for one
    try:
        with pytest.raises(StateError, match=f"pipe in {tmp_path} cannot be read: it is no regular file"):
            LocalStorage(tmp_path).read("pipe")
    finally:
        os.close(writer)
    with pytest.raises(StateError, match=f"zero in {tmp_path} cannot be read: it is no regular file"):
        LocalStorage(tmp_path).read("zero")


@pytest.mark.parametrize("address", ["{}/dataset", "memory://{}/dataset"])
def test_a_file_that_exists_is_not_created_again(tmp_path: Path, address: str) -> None:
    """Of two writers of one file the first wins. The other learns whether it would have written the same."""
    storage = open_storage(address.format(tmp_path))
    assert storage.create("log/one", b"first")
    assert storage.create("log/one", b"first")
    assert not storage.create("log/one", b"other")
    assert storage.read("log/one") == b"first"


def test_a_store_that_knows_no_conditions_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a store refuses to write under a condition, the file is looked for, and written if it is not there."""

    def refuse(_self: object, path: str, value: bytes, mode: str = "overwrite") -> None:
        if mode == "create":
            raise OSError(501, "the store does not implement If-None-Match")
        pipe_file(_self, path, value)

    pipe_file = MemoryFileSystem.pipe_file
    monkeypatch.setattr(MemoryFileSystem, "pipe_file", refuse)
    storage = open_storage(f"memory://{tmp_path}/dataset")
    assert storage.create("log/one", b"first")
    assert not storage.create("log/one", b"other")
    assert storage.read("log/one") == b"first"
