"""The ``peyvand`` command: wiring only."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import re
import runpy
import sys
from pathlib import Path
from typing import Annotated

import typer

from services.core import log as logs
from services.core.errors import InputError, PeyvandError, SettingsError

__all__ = ["main"]

_COMPONENTS = ("prober", "collector", "scorer", "api", "sandbox")
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

app = typer.Typer(
    help="Of every 100 inquiries the law requires one agency to make of another, how many would have been answered?",
    epilog="Components, run one by one: " + ", ".join(_COMPONENTS) + " (flags: `peyvand prober --help`)",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
_COMMANDS = {
    "probe": "probe_command",
    "score": "score",
    "dump": "score",
    "exchange": "exchange",
    "indicator": "ask",
    "explain": "ask",
    "structure": "structure_commands",
    "tabulate": "structure_commands",
    "rounds": "structure_commands",
    "history": "ask",
}
_GROUPS = {
    "register": ("register", "check, compare, import and publish the register"),
    "bus": ("bus", "prepare the message bus"),
}


def _add_commands(wanted: str) -> None:
    """Import the command that is wanted, or all of them when it is none of ours, as for --help."""
    everything = wanted not in {*_COMMANDS, *_GROUPS, "up"}
    for name, module in _COMMANDS.items():
        if everything or name == wanted:
            app.command(name)(getattr(importlib.import_module(f"services.cli.commands.{module}"), name))
    for name, (module, what) in _GROUPS.items():
        if everything or name == wanted:
            app.add_typer(importlib.import_module(f"services.cli.commands.{module}").app, name=name, help=what)


def _seconds(text: str) -> float:
    """A duration such as 60s, 5m or 90, in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a duration such as 60s or 5m")
    return float(match[1]) * _UNITS[match[2]]


@app.callback()
def _peyvand() -> None:
    """Keep the name of a command before its options, also where only one command was imported."""


@app.command()
def up(
    register: Annotated[Path | None, typer.Option(help="register directory to measure", metavar="DIR")] = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="measure a simulated government")] = False,
    scenario: Annotated[str, typer.Option(help="sandbox: small or national")] = "small",
    seed: Annotated[int, typer.Option(help="sandbox: seed of the scenario and its faults")] = 1,
    slot: Annotated[str, typer.Option(help="sandbox: slot length, whole seconds")] = "4s",
    faults: Annotated[float, typer.Option(help="sandbox: intensity of the injected faults, 0 for none")] = 1.0,
    traffic: Annotated[float, typer.Option(help="sandbox: exchanges a second over the data bus")] = 4.0,
    seconds: Annotated[str | None, typer.Option("--for", help="end by itself after this long, such as 60s")] = None,
    data: Annotated[Path | None, typer.Option(help="folder of all state", metavar="DIR")] = None,
    exchanges: Annotated[Path | None, typer.Option(help="X-Road exchange log to replay", metavar="FILE")] = None,
    first_port: Annotated[int, typer.Option(help="gRPC port; bus, metrics: the ports after it")] = 7410,
    base_port: Annotated[int, typer.Option(help="sandbox: first port of the simulated agencies")] = 7500,
) -> None:
    """Run everything on this machine; one table that updates; Ctrl-C stops all of it."""
    from services.cli.up.up import Plan  # noqa: PLC0415  # only this command needs gRPC and the tables
    from services.cli.up.up import up as run_up  # noqa: PLC0415

    if sandbox == (register is not None):
        raise SettingsError("`peyvand up` needs either --sandbox or --register DIR")
    length = _seconds(slot)
    if length < 2 or length != int(length):
        raise SettingsError(f"--slot {slot} must be whole seconds, 2 or more")
    plan = Plan(
        data=data or Path("peyvand-data") / ("sandbox" if sandbox else "live"),
        register=register,
        scenario=scenario,
        seed=seed,
        slot=int(length),
        faults=faults,
        traffic=traffic,
        first_port=first_port,
        base_port=base_port,
        seconds=None if seconds is None else _seconds(seconds),
        exchanges=exchanges,
    )
    asyncio.run(run_up(plan))


def main() -> None:
    """Run one command; errors are one sentence on stderr and exit code 1."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in _COMPONENTS:
        # A component reads its own flags, PEYVAND_* and settings file.
        if importlib.util.find_spec(f"services.{arguments[0]}") is None:
            sys.exit(
                f"peyvand {arguments[0]}: it is not part of this installation"
            )  # an image goes without the sandbox
        sys.argv = [f"peyvand {arguments[0]}", *arguments[1:]]
        runpy.run_module(f"services.{arguments[0]}", run_name="__main__")
        return
    logs.configure_logging("cli", "error")  # a person reads this terminal; what fails is said in one sentence
    _add_commands(arguments[0] if arguments else "")
    try:
        app(prog_name="peyvand")
    except InputError as error:
        print(error.report(), file=sys.stderr)
        sys.exit(1)
    except PeyvandError as error:
        print(f"peyvand: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
