"""Freed memory is returned to the system, less of it is kept, and memory in use is held in huge pages."""

from __future__ import annotations

import ctypes
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from services.core.malloc import trim_memory
from tests.support.paths import ROOT

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


def run(code: str) -> str:
    """Return what code prints in a process of its own, because what it sets holds until the process ends."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


THREADS = """
import ctypes, threading
from services.core.malloc import share_arena

libc = ctypes.CDLL(None)
if {shared}:
    share_arena()
for _ in range(3):
    thread = threading.Thread(target=libc.malloc, args=(100,))
    thread.start()
    thread.join()
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="only glibc has arenas")
def test_threads_share_an_arena() -> None:
    """Without the call they have another one than the main thread."""
    assert run(THREADS.format(shared=True)).count("<heap") == 1
    assert run(THREADS.format(shared=False)).count("<heap") > 1


FREED = """
from services.core.malloc import map_large_blocks
from tests.unit.core.test_malloc import MIB, private

large = bytes(31 * MIB)
del large
if {mapped}:
    map_large_blocks()
blocks = [bytes([at]) * 2 * MIB for at in range(50)]
before = private()
del blocks[::2]
print((before - private()) // MIB)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="only glibc keeps what was freed")
def test_large_blocks_are_returned_when_they_are_freed() -> None:
    """50 MiB are freed between blocks in use."""
    assert int(run(FREED.format(mapped=True))) > 45
    assert int(run(FREED.format(mapped=False))) < 10


HUGE = """
import re
from pathlib import Path
from services.core.malloc import use_huge_pages

def huge():
    return int(re.search(r"^AnonHugePages: +(\\d+) kB$", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)[1])

made = [[str(number)] for number in range(300_000)]
before = huge()
use_huge_pages()
print(huge() - before if made == [[str(number)] for number in range(300_000)] else -1)
"""


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists()
    or tuple(map(int, re.findall(r"\d+", platform.release())[:2])) < (6, 1),
    reason="only Linux 6.1 and later moves memory into huge pages when it is asked",
)
def test_memory_in_use_is_moved_into_huge_pages() -> None:
    """Of some 40 MiB of small objects, at least some are in pages of 2 MiB afterwards, and all are unchanged."""
    assert int(run(HUGE)) >= 2048
