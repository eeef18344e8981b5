"""Paths of the repository and of the real data."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["DATA", "ROOT"]

ROOT = Path(__file__).parents[2]
"""The root of the repository."""

DATA = Path(os.environ.get("PEYVAND_DATA", ROOT.parent / "shared" / "data"))
"""The folder of real data files, beside the repository unless PEYVAND_DATA names another."""
