"""Files that a crash leaves either as they were or as they were to become."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["replace", "sync"]


def replace(path: Path, content: bytes) -> None:
    """Replace a file as a whole; durable once its folder is synced too. Raises OSError."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def sync(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
