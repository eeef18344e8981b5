"""Makes glibc keep less freed memory (ADR 57, ADR 126), and the kernel hold memory in huge pages.

glibc keeps freed memory: arrays of up to 32 MiB lie in the arenas of every thread that made one, with holes between
those in use. With 10⁵ links that was half as much again as the memory in use. Mapping arrays one by one instead
(M_MMAP_THRESHOLD) lowers the peak as well, but doubles the CPU time of an index.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path

_C = ctypes.CDLL(None)
_malloc_trim = getattr(_C, "malloc_trim", None)
_mallopt = getattr(_C, "mallopt", None)
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3  # malloc.h
_LARGE = 1 << 20  # bytes
_MAPS = Path("/proc/self/maps")
_MADV_COLLAPSE = 25  # mman.h, since Linux 6.1
_HUGE_PAGE = 2 << 20  # bytes, on x86-64 and on arm64 with pages of 4 KiB


def trim_memory() -> None:
    """Return every free page to the system; do nothing without glibc. Takes some 50 ms with 10⁵ links."""
    if _malloc_trim is not None:
        _malloc_trim(0)


def share_arena() -> None:
    """Have all threads share one arena. Call it before they start. Does nothing without glibc.

    Each arena keeps what its threads freed. In a component one thread works most of the time, and the others hardly wait
    for the arena.
    """
    if _mallopt is not None:
        _mallopt(_M_ARENA_MAX, 1)


def map_large_blocks() -> None:
    """Have each block of a MiB or more mapped by itself, so that its memory is returned when it is freed (ADR 126).

    That is cheap for a process that makes some ten such blocks a second. Does nothing without glibc.
    """
    if _mallopt is not None:
        _mallopt(_M_MMAP_THRESHOLD, _LARGE)


def use_huge_pages() -> None:
    """Move what this process has allocated so far into huge pages. Takes some 20 ms, and may run in a thread.

    A process that often sleeps finds its memory, and the tables of its pages, in no cache when it wakes up. Huge pages
    need far fewer tables. Nothing is moved where the kernel cannot do it. A huge page takes back what ``trim_memory``
    returned of it, so a process has use for one of the two.
    """
    with suppress(OSError):  # no Linux
        for line in _MAPS.read_text("utf-8", "replace").splitlines():
            span, mode, _offset, _device, _inode, *name = line.split(maxsplit=5)
            if mode == "rw-p" and name in ([], ["[heap]"]):
                start, end = (int(place, 16) for place in span.split("-"))
                start += -start % _HUGE_PAGE
                size = (end - start) // _HUGE_PAGE * _HUGE_PAGE
                if size > 0:
                    _C.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), _MADV_COLLAPSE)
