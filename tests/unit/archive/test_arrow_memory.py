"""The archive has Arrow return what it frees."""

from __future__ import annotations

import subprocess
import sys

from tests.support.waiting import DEADLINE

_ASK = "import services.archive.component, pyarrow; print(pyarrow.default_memory_pool().backend_name)"


def test_arrow_allocates_from_the_system() -> None:
    """Once the archive's modules are loaded, Arrow's default pool is the allocator of the system."""
    answer = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert answer.stdout.strip() == "system"
