"""Imports packages without optional packages that they would load if these are installed."""

from __future__ import annotations

import sys
from importlib import import_module


def import_without(name: str, absent: str) -> None:
    """Import module ``name`` as if package ``absent`` were not installed, unless either is loaded already."""
    if name in sys.modules or absent in sys.modules:
        return
    sys.modules[absent] = None  # type: ignore[assignment]  # the documented way to have an import find nothing
    try:
        import_module(name)
    finally:
        del sys.modules[absent]
