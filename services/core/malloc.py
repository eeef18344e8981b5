"""Makes glibc keep less freed memory (ADR 57, ADR 126).

glibc keeps freed memory: arrays of up to 32 MiB lie in the arenas of every thread that made one, with holes between
those in use. With 10⁵ links that was half as much again as the memory in use. Mapping arrays one by one instead
(M_MMAP_THRESHOLD) lowers the peak as well, but doubles the CPU time of an index.
"""

from __future__ import annotations

import ctypes

_C = ctypes.CDLL(None)
_malloc_trim = getattr(_C, "malloc_trim", None)
_mallopt = getattr(_C, "mallopt", None)
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3  # malloc.h
_LARGE = 1 << 20  # bytes


def trim_memory() -> None:
    """Return every free page to the system; do nothing without glibc. Takes some 50 ms with 10⁵ links."""
    if _malloc_trim is not None:
        _malloc_trim(0)


def keep_less() -> None:
    """Have glibc keep less of what is freed from now on (ADR 126). Call it before threads start.

    Threads share one arena, and each block of a MiB or more is mapped by itself, so that its memory is returned when it is
    freed. That is cheap for a process that makes some ten such blocks a second. Does nothing without glibc.
    """
    if _mallopt is not None:
        _mallopt(_M_ARENA_MAX, 1)
        _mallopt(_M_MMAP_THRESHOLD, _LARGE)
