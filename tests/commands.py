"""Whether command lines and settings that stand in pages, units and charts exist: asked of the commands themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import typer

from services.cli import __main__ as cli
from services.core.settings import Settings, variable

__all__ = ["faults", "settings_of", "unknown_variables"]


def _command() -> Any:
    """`peyvand` with every command it has."""
    if "probe" not in {one.name for one in cli.app.registered_commands}:
        cli._add_commands("")
    return typer.main.get_command(cli.app)


def settings_of(component: str) -> set[str]:
    """The settings that a component reads: everybody's and its own."""
    found = set()
    for name, field in Settings.model_fields.items():
        owner, colon, _ = (field.description or "").partition(": ")
        if not colon or owner == component:
            found.add(name)
    return found


def unknown_variables(component: str, names: Iterable[str]) -> list[str]:
    """Which of these PEYVAND_* variables a component does not read."""
    known = {variable(name) for name in settings_of(component)}
    return [name for name in names if name not in known]


def faults(words: Sequence[str]) -> list[str]:
    """What of a command line, without its first word `peyvand`, does not exist. A word may end in `=VALUE`."""
    command, rest = _command(), list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name in cli._COMPONENTS:
            return [f"{name} has no flag {flag}" for flag in _flags(rest) if flag not in _flags_of(name)]
        if name not in command.commands:
            return [f"there is no command {name}"]
        command = command.commands[name]
    options = {option for one in command.params for option in one.opts} | {"--help"}
    return [f"{command.name} has no option {flag}" for flag in _flags(rest) if flag not in options]


def _flags(words: Sequence[str]) -> list[str]:
    return [word.partition("=")[0] for word in words if word.startswith("--")]


def _flags_of(component: str) -> set[str]:
    return {"--settings", "--help", *(f"--{name.replace('_', '-')}" for name in settings_of(component))}
