"""Files of the evidence that are damaged."""

from __future__ import annotations

from pathlib import Path

from services.core.errors import StateError


def damaged(path: Path) -> StateError:
    """Return the error for a file whose content is wrong."""
    return StateError(f"the scorer's state file {path} is damaged: move its evidence folder away to start anew")
