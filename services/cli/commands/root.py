"""The command line as a tree: every command by its name."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.commands import bus, register
from services.cli.commands.ask import explain, history, indicator, rounds, structure, tabulate
from services.cli.commands.exchange import exchange
from services.cli.commands.options import command_group
from services.cli.commands.probe import probe
from services.cli.commands.score import dump, score
from services.cli.commands.up import up

__all__ = ["COMPONENTS", "app"]

COMPONENTS = ("prober", "collector", "scorer", "api", "sandbox")

app = command_group(
    "Of every 100 inquiries the law requires one agency to make of another, how many would have been answered?",
    epilog=f"Components, run one by one: {', '.join(COMPONENTS)} (flags: `peyvand prober --help`)",
)
for command in (up, probe, score, dump, exchange, indicator, explain, structure, tabulate, rounds, history):
    app.command()(command)
app.add_typer(register.app, name="register")
app.add_typer(bus.app, name="bus")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("peyvand"))
        raise typer.Exit


@app.callback()
def _peyvand(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options of ``peyvand`` itself."""
