"""``python -m tests.chaos.faults.mounted_disk FOLDER`` mounts a disk that forgets, and obeys the lines of its input.

A line is a state of the disk (well, full, eio, readonly), or ``cut SEED``. Each is answered by a line when done.
"""

from __future__ import annotations

import os
import random
import stat
import sys
import threading
from collections.abc import Iterable
from typing import Any

import mfusepy

from tests.chaos.faults.disk import NO_SPACE, WELL, Disk, Node

_BLOCK = 4096
_BLOCKS = 1 << 22


class MountedDisk(mfusepy.Operations):  # type: ignore[misc]  # the package has no types
    """The disk as FUSE operations, which run one at a time."""

    use_ns = True

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._lock = threading.Lock()
        self._open: dict[int, Node] = {}
        self._next = 1

    def obey(self, line: str) -> None:
        """Change the state of the disk, or cut its power."""
        word, *seed = line.split()
        with self._lock:
            if word == "cut":
                self._disk.cut_power(random.Random(seed[0]))
            else:
                self._disk.state = word

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        with self._lock:
            node = self._node(path, fh)
        size = 0 if node.content is None else len(node.content)
        moment = int(node.changed * 1e9)
        return {
            "st_mode": node.mode | (stat.S_IFDIR if node.is_folder else stat.S_IFREG),
            "st_nlink": 2 if node.is_folder else 1,
            "st_size": size,
            "st_blocks": -(-size // 512),
            "st_uid": os.getuid(),
            "st_gid": os.getgid(),
            **dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), moment),
        }

    def readdir(self, path: str, fh: int) -> Iterable[str]:
        with self._lock:
            return [".", "..", *self._disk.children(path)]

    def mkdir(self, path: str, mode: int) -> int:
        with self._lock:
            self._disk.make(path, Node(None, mode & 0o7777))
        return 0

    def rmdir(self, path: str) -> int:
        return self.unlink(path)

    def unlink(self, path: str) -> int:
        with self._lock:
            self._disk.remove(path)
        return 0

    def rename(self, old: str, new: str) -> int:
        with self._lock:
            self._disk.rename(old, new)
        return 0

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        with self._lock:
            return self._opened(self._disk.make(path, Node(bytearray(), mode & 0o7777)))

    def open(self, path: str, flags: int) -> int:
        with self._lock:
            return self._opened(self._disk.node(path))

    def release(self, path: str, fh: int) -> int:
        with self._lock:
            self._open.pop(fh, None)
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        with self._lock:
            content = self._node(path, fh).content
            return bytes((content or b"")[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        with self._lock:
            return self._disk.write(self._node(path, fh), data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        with self._lock:
            self._disk.truncate(self._node(path, fh), length)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        with self._lock:
            self._disk.sync(self._node(path, fh))
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        with self._lock:
            self._disk.sync(self._disk.node("/"))
        return 0

    def chmod(self, path: str, mode: int) -> int:
        with self._lock:
            self._disk.node(path).mode = mode & 0o7777
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        free = 0 if self._disk.state == NO_SPACE else _BLOCKS // 2
        return {
            "f_bsize": _BLOCK,
            "f_frsize": _BLOCK,
            "f_blocks": _BLOCKS,
            "f_bfree": free,
            "f_bavail": free,
            "f_namemax": 255,
        }

    def _opened(self, node: Node) -> int:
        handle, self._next = self._next, self._next + 1
        self._open[handle] = node
        return handle

    def _node(self, path: str, fh: int | None) -> Node:
        return self._open[fh] if fh in self._open else self._disk.node(path)


def _obey_input(mounted: MountedDisk) -> None:
    for line in sys.stdin:
        mounted.obey(line)
        print("done", flush=True)  # noqa: T201  # the answer to the line


def main() -> None:
    """Serve the disk until it is unmounted."""
    disk = Disk()
    assert disk.state == WELL
    mounted = MountedDisk(disk)
    threading.Thread(target=_obey_input, args=(mounted,), daemon=True).start()
    options = {
        "attr_timeout": 0,
        "entry_timeout": 0,
        "hard_remove": True,
        "default_permissions": True,
        "auto_unmount": True,
    }
    mfusepy.FUSE(mounted, sys.argv[1], foreground=True, nothreads=True, **options)


if __name__ == "__main__":
    main()
