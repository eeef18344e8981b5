"""Freed memory is returned to the system, and threads can share an arena."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from pathlib import Path

import pytest

from services.core.malloc import trim_memory

MIB = 1 << 20


def private() -> int:
    """Return the bytes of private memory that this process has resident."""
    found = re.search(r"^RssAnon:\s+(\d+) kB$", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc keeps what was freed")
def test_free_pages_between_used_ones_are_returned() -> None:
    """Of a hundred blocks of 1 MiB, all but the last are free and are returned. The last is in use and unchanged."""
    large = bytes(31 * MIB)
    del large  # from here on glibc keeps blocks of up to this size in one arena
    blocks = [bytes([at]) * MIB for at in range(100)]
    del blocks[:-1]
    before = private()
    trim_memory()
    assert before - private() > 90 * MIB
    assert blocks == [bytes([99]) * MIB]


THREADS = """
import ctypes, threading
from services.core.malloc import use_one_arena

libc = ctypes.CDLL(None)
if {shared}:
    use_one_arena()
for _ in range(3):
    thread = threading.Thread(target=libc.malloc, args=(100,))
    thread.start()
    thread.join()
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="only glibc has arenas")
def test_threads_share_the_arena_of_the_first_one() -> None:
    """Without the call they have another one."""

    def arenas(*, shared: bool) -> int:
        command = [sys.executable, "-c", THREADS.format(shared=shared)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.count("<heap")

    assert arenas(shared=True) == 1
    assert arenas(shared=False) > 1
