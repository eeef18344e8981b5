"""Disks that forget what was not synced, fail for a while, and end a process between two of its operations.

Each component has a folder for its files. Changes in a folder since its last sync can be undone: after a power cut some
of them are gone, the latest first.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import stat
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.core.errors import StateError
from services.dataset.storage import Storage


class KilledError(BaseException):
    """The process was ended by kill -9; no error handler may notice."""


class Disk:
    """All files below ``root``, in a folder for each component.

    Every write of a component in ``failing`` is refused, with this error number. ``kill_after`` says how many
    operations a component does before it is killed.
    """

    def __init__(self, root: Path, rng: random.Random) -> None:
        self.root = root
        self.failing: dict[str, int] = {}
        self.kill_after: dict[str, int] = {}
        self.operations: Counter[str] = Counter()
        self._rng = rng
        self._unsynced: dict[Path, list[tuple[Path, bytes | None]]] = defaultdict(list)

    def step(self, owner: str, *, writes: bool = True) -> None:
        """Count an operation that changes something. Raises OSError and KilledError."""
        self.operations[owner] += 1
        if owner in self.kill_after:
            self.kill_after[owner] -= 1
            if self.kill_after[owner] <= 0:
                del self.kill_after[owner]
                raise KilledError(owner)
        if owner in self.failing and (writes or self.failing[owner] != errno.ENOSPC):
            raise OSError(self.failing[owner], os.strerror(self.failing[owner]))

    def cut_power(self) -> int:
        """Undo some operations that were not synced, and return how many."""
        undone = 0
        for _, operations in sorted(self._unsynced.items()):
            kept = self._rng.randint(0, len(operations))
            for path, content in reversed(operations[kept:]):
                undone += 1
                if content is None:
                    _unlink(path, missing_ok=True)
                else:
                    path.write_bytes(content)
        self._unsynced.clear()
        return undone

    def lose(self, folder: Path) -> None:
        """Replace a folder with an empty one, as with another disk: nothing of the old one ever comes back."""
        shutil.rmtree(folder)
        folder.mkdir()
        for path in [path for path in self._unsynced if path.is_relative_to(folder)]:
            del self._unsynced[path]

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Pass every replacement, removal and sync below the root through this disk."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "replace", self._replace())
            patch.setattr(Path, "unlink", self._unlink())
            patch.setattr(os, "fsync", self._fsync)
            yield

    def _owner(self, path: Path) -> str | None:
        text, root = str(path), f"{self.root}/"
        return text[len(root) :].partition("/")[0] if text.startswith(root) else None

    def _replace(self) -> Callable[[Path, Path], Path]:
        def replace(path: Path, target: Path) -> Path:
            if owner := self._owner(target):
                self.step(owner)
                self._note(target)
            return _replace(path, target)

        return replace

    def _unlink(self) -> Callable[..., None]:
        def unlink(path: Path, missing_ok: bool = False) -> None:  # the signature of pathlib
            if (owner := self._owner(path)) and not path.name.endswith(".part"):
                self.step(owner, writes=False)
                if path.exists():
                    self._note(path)
            _unlink(path, missing_ok=missing_ok)

        return unlink

    def _note(self, path: Path) -> None:
        self._unsynced[path.parent].append((path, path.read_bytes() if path.exists() else None))

    def _fsync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if owner := self._owner(path):
            self.step(owner)
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                self._unsynced.pop(path, None)


_replace, _unlink = Path.replace, Path.unlink


class MemoryStorage(Storage):
    """A dataset in memory, like an object store. A write that was interrupted may or may not have taken effect."""

    def __init__(self, disk: Disk, owner: str) -> None:
        self.address = f"memory:{owner}"
        self.files: dict[str, bytes] = {}
        self._disk, self._owner = disk, owner

    def names(self, folder: str = "") -> list[str]:
        """Return the names of all files below a folder, sorted."""
        return sorted(name for name in self.files if not folder or name.startswith(f"{folder}/"))

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        try:
            return self.files[name]
        except KeyError:
            raise StateError(f"{name} in {self.address} cannot be read: it is not there") from None

    def write(self, name: str, content: bytes) -> None:
        """Write a whole file, or replace one."""
        self._step(name)
        self.files[name] = content
        self._step(name)

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._step(name)
        self.files.pop(name, None)

    def _step(self, name: str) -> None:
        try:
            self._disk.step(self._owner)
        except OSError as error:
            raise StateError(f"{name} in {self.address} cannot be changed: {error.strerror}") from error


FAILURES = (errno.ENOSPC, errno.EIO, errno.EROFS)
