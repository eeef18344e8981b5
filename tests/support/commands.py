"""Check that command lines and settings named in pages, units and charts exist, by asking the commands themselves."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import typer
from typer.testing import CliRunner

from services.cli.command_line import app
from services.cli.components import COMPONENTS
from services.core.settings import Settings, environment_variable, owners_of

__all__ = ["answered", "asks_the_api", "command_lines", "faults", "refused", "settings_of", "unknown_variables"]

_UsageError: Any = typer.BadParameter.__mro__[1]
"""The class of every error that a parser raises. typer bundles its own click and exports only this subclass."""


@cache
def _command() -> Any:
    return typer.main.get_command(app)


def settings_of(component: str) -> set[str]:
    """Return the settings that a component reads: the shared ones and its own."""
    return {setting.name for setting in fields(Settings) if component in (owners_of(setting.name) or {component})}


def unknown_variables(component: str, names: Iterable[str]) -> list[str]:
    """Return those of these PEYVAND_* variables that a component does not read."""
    known = {environment_variable(name) for name in settings_of(component)}
    return [name for name in names if name not in known]


def faults(words: Sequence[str]) -> list[str]:
    """Return the parts of a command line that do not exist. `peyvand` is left out; a word may end in `=VALUE`."""
    command, rest = _command(), list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name in COMPONENTS and not (rest and rest[0] in getattr(command.commands.get(name), "commands", ())):
            return [f"{name} has no flag {flag}" for flag in _flags(rest) if flag not in _flags_of(name)]
        if name not in command.commands:
            return [f"there is no command {name}"]
        command = command.commands[name]
    options = {option for one in command.params for option in one.opts} | {"--help"}
    return [f"{command.name} has no option {flag}" for flag in _flags(rest) if flag not in options]


def refused(words: Sequence[str]) -> str:
    """Return the error of the command-line parser for these words, which follow `peyvand`; empty if it accepts them.

    Components read their flags themselves; ``faults`` checks those.
    """
    if words and words[0] in COMPONENTS:
        return ""
    command, rest = _leaf(words)
    try:
        command.make_context(command.name, rest)
    except _UsageError as error:
        return str(error.format_message())
    return ""


def asks_the_api(words: Sequence[str]) -> bool:
    """Whether the command of this line, without `peyvand`, queries an api."""
    if words and words[0] in COMPONENTS:
        return False
    return any("--api" in one.opts for one in _leaf(words)[0].params)


def answered(words: Sequence[str], address: str) -> str:
    """Run a command that queries the api at this address. Return its error, or an empty string when it succeeds."""
    result = CliRunner(env={"NO_COLOR": "1", "TERM": "dumb"}).invoke(app, [*words, "--api", address])
    return "" if result.exit_code == 0 else f"{result.output}{result.exception}"


def _leaf(words: Sequence[str]) -> tuple[Any, list[str]]:
    """The command that a line names, and the words after its name."""
    command, rest = _command(), list(words)
    while hasattr(command, "commands") and rest:
        command = command.commands[rest.pop(0)]
    return command, rest


def command_lines(page: str) -> Iterator[list[str]]:
    """Yield every command of a Markdown page as words, from its blocks and from text that begins with `peyvand`."""
    spans = re.findall(r"`(peyvand [^`]+)`", page)
    blocks = "\n".join(re.findall(r"^ *```bash\n(.*?)^ *```$", page, re.MULTILINE | re.DOTALL))
    text = blocks.replace("\\\n", " ") + "\n" + "\n".join(" ".join(one.split()) for one in spans)
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = next((n for n, word in enumerate(words) if word in ("&&", "|", "&", ">")), len(words))
            command = [word.rstrip(";") for word in words[:end]]
            while command and re.match(r"^[A-Z_0-9]+=", command[0]):
                command.pop(0)
            if command:
                yield command
            words = words[end + 2 if end < len(words) and words[end] == ">" else end + 1 :]


def _flags(words: Sequence[str]) -> list[str]:
    return [word.partition("=")[0] for word in words if word.startswith("--")]


def _flags_of(component: str) -> set[str]:
    return {"--settings", "--help", *(f"--{name.replace('_', '-')}" for name in settings_of(component))}
