"""Programs and modules that tests need. A test is skipped when one is missing, except under CI=true."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from types import ModuleType

import pytest

__all__ = ["module", "program"]


def program(name: str, package: str) -> str:
    """Return the path of a program. ``package`` is the Debian package that has it."""
    path = shutil.which(name)
    if path is None:
        _miss(f"{name} is not installed: apt-get install {package}")
    assert path is not None
    return path


def module(name: str) -> ModuleType:
    """Import a module of a package that is not built for every platform."""
    if importlib.util.find_spec(name) is None:
        _miss(f"there is no {name} for this machine")
    return importlib.import_module(name)


def _miss(message: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
