"""Runs a component by its name, without importing any command."""

from __future__ import annotations

import importlib.util
import runpy
import sys
from collections.abc import Sequence

COMPONENTS = ("prober", "collector", "scorer", "archive", "api", "console", "sandbox")


def named_component(words: Sequence[str]) -> str | None:
    """Return the component that a command line names; None for a command, or nothing.

    ``peyvand archive`` is a component with flags, and a group of commands about datasets without.
    """
    if not words or words[0] not in COMPONENTS:
        return None
    if words[0] == "archive" and words[1:] and (words[1] == "--help" or not words[1].startswith("-")):
        return None
    return words[0]


def run_component(name: str) -> None:
    """Run a component, which reads its flags, PEYVAND_* and settings file by itself. Raises SystemExit."""
    if importlib.util.find_spec(f"services.{name}") is None:
        sys.exit(f"peyvand {name}: it is not part of this installation")  # images go without the sandbox
    sys.argv = [f"peyvand {name}", *sys.argv[2:]]
    runpy.run_module(f"services.{name}", run_name="__main__")
