"""The faults of a changed register directory. Not a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import InputError
from services.register.directory.load import load_register

__all__ = ["faults"]


def faults(directory: Path) -> list[str]:
    """Return the faults of a register directory, without its path."""
    with pytest.raises(InputError) as refused:
        load_register(directory)
    return [str(fault).removeprefix(f"{directory}/") for fault in refused.value.faults]
