"""A disk in memory that knows what was synced: after a power cut the rest is gone, kept, or torn. Pure.

It forgets as a journalling file system may. Names change in order, and any sync makes all earlier changes of names
durable. Content is durable once its own file is synced. Of other content each page is kept by chance.
"""

from __future__ import annotations

import errno
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import PurePosixPath

PAGE = 4096
WELL, NO_SPACE, INPUT_OUTPUT, READ_ONLY = "well", "full", "eio", "readonly"
_ERRORS = {NO_SPACE: errno.ENOSPC, INPUT_OUTPUT: errno.EIO, READ_ONLY: errno.EROFS}


@dataclass(eq=False)
class Node:
    """A file, or a folder where ``content`` is None; ``synced`` is the content as of the last sync."""

    content: bytearray | None
    mode: int
    synced: bytearray = field(default_factory=bytearray)
    changed: float = field(default_factory=time.time)
    _since: tuple[int, int] = (0, 0)
    """The range of bytes that was written since the last sync."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.content is None

    def torn(self, chance: random.Random) -> bytes:
        """Return content that a power cut may leave: its old or new size, with each page in its old or new state."""
        assert self.content is not None
        new = bytes(self.content)
        if new == self.synced:
            return new
        size = chance.choice((len(self.synced), len(new)))
        old_padded, new_padded = (state.ljust(size, b"\0") for state in (self.synced, new))
        pages = range(0, size, PAGE)
        return b"".join((chance.choice((old_padded, new_padded)))[start : min(start + PAGE, size)] for start in pages)

    def write(self, data: bytes, offset: int) -> None:
        """Write into a file. A gap before ``offset`` is filled with zeros."""
        assert self.content is not None
        begin = min(offset, len(self.content))
        self.content[begin : offset + len(data)] = bytes(offset - begin) + data
        self._written(begin, offset + len(data))

    def truncate(self, size: int) -> None:
        """Cut a file, or fill it up with zeros."""
        assert self.content is not None
        begin = min(size, len(self.content))
        del self.content[size:]
        self.content.extend(bytes(size - begin))
        self._written(begin, size)

    def sync(self) -> None:
        """Make the content durable.

        Only the changed range is copied, because a server syncs files of megabytes after each message.
        """
        if self.content is not None:
            begin, end = self._since
            del self.synced[len(self.content) :]
            self.synced[begin:end] = self.content[begin:end]
            self._since = (len(self.content), 0)

    def _written(self, begin: int, end: int) -> None:
        self._since = (min(begin, self._since[0]), max(end, self._since[1]))
        self.changed = time.time()


Names = dict[str, Node]


class Disk:
    """Nodes by path, ``/`` included. Every method raises OSError as a file system does."""

    def __init__(self) -> None:
        self.names: Names = {"/": Node(None, 0o755)}
        self.state = WELL
        self.syncs = 0
        self._durable: Names = dict(self.names)
        self._since: list[Names] = []  # the names after each change that is not durable yet

    def node(self, path: str) -> Node:
        """Return the node with this name."""
        found = self.names.get(path)
        if found is None:
            raise OSError(errno.ENOENT, path)
        return found

    def children(self, path: str) -> list[str]:
        """Return the names in a folder."""
        return [
            PurePosixPath(name).name for name in self.names if name != "/" and str(PurePosixPath(name).parent) == path
        ]

    def make(self, path: str, node: Node) -> Node:
        """Give a new node a name."""
        self._refuse()
        self.node(str(PurePosixPath(path).parent))
        if path in self.names:
            raise OSError(errno.EEXIST, path)
        self.names[path] = node
        self._changed()
        return node

    def remove(self, path: str) -> None:
        """Remove a name."""
        self._refuse(room=False)
        if self.node(path).is_folder and self.children(path):
            raise OSError(errno.ENOTEMPTY, path)
        del self.names[path]
        self._changed()

    def rename(self, old: str, new: str) -> None:
        """Rename a node, and replace any node of the new name."""
        self._refuse(room=False)
        self.node(old)
        self.names.pop(new, None)
        for name in [name for name in self.names if name == old or name.startswith(f"{old}/")]:
            self.names[new + name[len(old) :]] = self.names.pop(name)
        self._changed()

    def write(self, node: Node, data: bytes, offset: int) -> int:
        """Write into a file."""
        self._refuse()
        node.write(data, offset)
        return len(data)

    def truncate(self, node: Node, size: int) -> None:
        """Cut a file, or fill it up with zeros."""
        self._refuse(room=False)
        node.truncate(size)

    def sync(self, node: Node) -> None:
        """Make a node durable, and every change of names so far."""
        if self.state == INPUT_OUTPUT:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.syncs += 1
        node.sync()
        if self._since:
            self._durable = self._since[-1]
            self._since = []

    def cut_power(self, chance: random.Random) -> None:
        """Lose unsynced data: names go back to one of their states since the last sync, and content is torn."""
        self.names = dict(chance.choice([self._durable, *self._since]))
        self._durable, self._since = dict(self.names), []
        for node in set(self.names.values()):
            if node.content is not None:
                torn = node.torn(chance)
                node.truncate(0)
                node.write(torn, 0)
                node.sync()
        self.state = WELL

    def _refuse(self, *, room: bool = True) -> None:
        if self.state != WELL and (room or self.state != NO_SPACE):
            raise OSError(_ERRORS[self.state], os.strerror(_ERRORS[self.state]))

    def _changed(self) -> None:
        self._since.append(dict(self.names))
