"""Measure the memory of this process: private, which only it can give back, and files, which the kernel may drop."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

__all__ = ["Memory"]

LOOK_SECONDS = 0.02
_FIELDS = re.compile(r"^(RssAnon|RssFile|RssShmem):\s+(\d+) kB$", re.MULTILINE)


class Memory:
    """Reads /proc/self/status, and while ``watched`` again and again, to find the peak."""

    def __init__(self) -> None:
        self._peak = self._part = (0, 0)

    def now(self) -> str:
        """Return the present memory in words."""
        return _told(self._look())

    def private(self) -> float:
        """Return the private memory in MiB."""
        return self._look()[0] / 1024

    def begin(self) -> None:
        """Begin a part."""
        self._part = (0, 0)
        self._look()

    def part(self) -> str:
        """Return the peak since the part began, in words."""
        self._look()
        return _told(self._part)

    def peak(self) -> str:
        """Return the peak of all parts, in words."""
        return _told(self._peak)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Read the memory again and again in a thread."""
        done = Event()

        def look() -> None:
            while not done.wait(LOOK_SECONDS):
                self._look()

        thread = Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _look(self) -> tuple[int, int]:
        found = {name: int(size) for name, size in _FIELDS.findall(Path("/proc/self/status").read_text("ascii"))}
        one = found["RssAnon"] + found["RssShmem"], found["RssFile"]
        self._peak, self._part = _most(self._peak, one), _most(self._part, one)
        return one


def _most(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return max(one[0], other[0]), max(one[1], other[1])


def _told(kib: tuple[int, int]) -> str:
    private, files = (one / 1024 for one in kib)
    return f"{private:,.0f} MiB private, {files:,.0f} MiB of files"
