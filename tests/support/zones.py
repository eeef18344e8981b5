"""A time zone made for a test, so that midnight comes when the test needs it, whatever the time of day.

Real zones are whole quarters of hours from UTC. A day closes when its last slot can no longer be admitted, some
seconds after a whole hour of grace. Under a real zone a test would see that only if it began at the right second.
"""

from __future__ import annotations

import os
import struct
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

__all__ = ["Zone", "zone"]

DAY = 86400

Zone = Callable[[int], str]
"""Makes a zone in which it is midnight at a moment (epoch seconds), and returns its name."""


@pytest.fixture
def zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    """Zones that this process and its children know until the test ends."""
    folder, before = tmp_path / "zoneinfo", zoneinfo.TZPATH
    monkeypatch.setenv("PYTHONTZPATH", os.pathsep.join([str(folder), *before]))
    zoneinfo.reset_tzpath(to=[str(folder), *before])

    def make(midnight: int) -> str:
        folder.mkdir(exist_ok=True)
        name = f"Midnight{midnight}"  # unique, as zones and midnights are cached by name
        (folder / name).write_bytes(_content(DAY // 2 - (midnight + DAY // 2) % DAY))
        return name

    yield make
    zoneinfo.reset_tzpath(to=before)


def _content(east: int) -> bytes:
    """Return a zone file with one offset, in seconds east of UTC, that never changes (RFC 9636, version 1)."""
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, 4)  # one kind of local time, its name of four bytes
    return b"TZif" + bytes(16) + counts + struct.pack(">lbb", east, 0, 0) + b"TST\0"
