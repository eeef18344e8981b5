"""Atomic replacement of files: after a crash a file is either the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path

from services.core.errors import StateError

PART = ".part"
"""Suffix of a file that is being written."""


def replace(path: Path, content: bytes) -> None:
    """Replace a file as a whole. It is durable once its folder is synced. Raises OSError."""
    part = path.with_name(path.name + PART)
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def clear_parts(folder: Path) -> None:
    """Remove what a crash left half written, since a file of that name may never be written again. Raises OSError."""
    for part in folder.glob(f"*{PART}"):
        part.unlink(missing_ok=True)


def damaged(path: Path) -> StateError:
    """Return the error for a file whose content is wrong."""
    return StateError(f"the scorer's state file {path} is damaged: move its evidence folder away to start anew")


def sync(folder: Path) -> None:
    """Make new names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
