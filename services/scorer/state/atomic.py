"""Files that a crash leaves either as they were or as they were to become."""

from __future__ import annotations

import os
from pathlib import Path

from services.core.errors import StateError

__all__ = ["clear_parts", "damaged", "replace", "sync"]

PART = ".part"
"""What the name of a file ends with until all of it is written."""


def replace(path: Path, content: bytes) -> None:
    """Replace a file as a whole; durable once its folder is synced too. Raises OSError."""
    part = path.with_name(path.name + PART)
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def clear_parts(folder: Path) -> None:
    """Remove what a crash left half written; the file of that name may never be written again. Raises OSError."""
    for part in folder.glob(f"*{PART}"):
        part.unlink(missing_ok=True)


def damaged(path: Path) -> StateError:
    """Return the error for a file that does not hold what it should."""
    return StateError(f"the scorer's state file {path} is damaged: move its evidence folder away to start anew")


def sync(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
