"""Power cuts and failures of the simulated disk."""

from __future__ import annotations

import errno
import os
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.faults.disk import INPUT_OUTPUT, NO_SPACE, READ_ONLY, Disk, Node

CUTS = range(50)


def _file(disk: Disk, path: str, content: bytes) -> Node:
    node = disk.make(path, Node(bytearray(), 0o600))
    disk.write(node, content, 0)
    return node


def _after_a_cut(number: int, *, synced: bool) -> dict[str, bytes]:
    """Replace a file by renaming another over it, and cut the power; return the files that are left."""
    disk = Disk()
    disk.sync(_file(disk, "/state", b"old"))
    new = _file(disk, "/state.part", b"new")
    if synced:
        disk.sync(new)
    disk.rename("/state.part", "/state")
    if synced:
        disk.sync(disk.node("/"))
    disk.cut_power(random.Random(number))
    return {path: bytes(node.content) for path, node in disk.names.items() if node.content is not None}


def test_what_was_synced_stays() -> None:
    """A file that was synced before and after its rename is whole after every power cut."""
    assert all(_after_a_cut(number, synced=True) == {"/state": b"new"} for number in CUTS)


def test_what_was_not_synced_may_be_anything() -> None:
    """Without syncs, the old file, the new one or an empty one may be left."""
    found = {_after_a_cut(number, synced=False)["/state"] for number in CUTS}
    assert {b"old", b"new", b""} <= found


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 60), st.binary(max_size=20)),
            st.tuples(st.just("truncate"), st.integers(0, 70), st.just(b"")),
            st.tuples(st.just("sync"), st.just(0), st.just(b"")),
        )
    )
)
def test_a_sync_copies_what_changed(steps: list[tuple[str, int, bytes]]) -> None:
    """After any steps the content is that of a real file, and the synced content is that of the last sync."""
    node, content, synced = Node(bytearray(), 0o600), bytearray(), bytearray()
    for step, place, data in steps:
        if step == "write":
            node.write(data, place)
            content.extend(bytes(max(0, place - len(content))))
            content[place : place + len(data)] = data
        elif step == "truncate":
            node.truncate(place)
            content = content[:place].ljust(place, b"\0")
        else:
            node.sync()
            synced = content[:]
    assert (node.content, node.synced) == (content, synced)


def test_writes_are_torn_in_pages() -> None:
    """After a file is overwritten without a sync, each of its pages is either old or new."""
    found = set()
    for number in CUTS:
        disk = Disk()
        node = _file(disk, "/a", b"o" * 8192)
        disk.sync(node)
        disk.write(node, b"n" * 8192, 0)
        disk.cut_power(random.Random(number))
        content = bytes(disk.node("/a").content or b"")
        found.add((content[:4096], content[4096:]))
    assert found == {(one * 4096, other * 4096) for one in (b"o", b"n") for other in (b"o", b"n")}


@pytest.mark.parametrize(
    ("state", "number"), [(NO_SPACE, errno.ENOSPC), (INPUT_OUTPUT, errno.EIO), (READ_ONLY, errno.EROFS)]
)
def test_a_disk_that_fails_says_how(state: str, number: int) -> None:
    """A write to a disk in a bad state raises the error of that state and changes nothing."""
    disk = Disk()
    node = _file(disk, "/a", b"before")
    disk.state = state
    with pytest.raises(OSError, match=re.escape(os.strerror(number))):
        disk.write(node, b"after!", 0)
    assert bytes(node.content or b"") == b"before"
