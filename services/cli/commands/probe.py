"""Declares ``peyvand probe``, which probes once and without a bus (docs/probing.md).

It probes the targets of a register, or one definition at any target.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from services.core.errors import SettingsError


def probe(
    directory: Annotated[Path, typer.Argument(help="Register directory.", metavar="DIR")],
    link: Annotated[
        list[str] | None, typer.Option(help="Only this link or endpoint; may be repeated.", metavar="ID")
    ] = None,
    definition: Annotated[
        str | None, typer.Option("--probe", help="Use this definition of probes.yaml, at --target.", metavar="NAME")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Target of --probe.", metavar="URL")] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="A param for --probe, NAME=VALUE; may be repeated.", metavar="NAME=VALUE")
    ] = None,
    vantage: Annotated[str | None, typer.Option(help="Only targets that this vantage probes.", metavar="ID")] = None,
    record: Annotated[
        int | None,
        typer.Option(help="If there are several test records, use record N, not that of the current slot.", min=1),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", "-v", help="Explain every target at length, not only a single one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one Measurement per line, as JSON.")] = False,
) -> None:
    """Probe each link and endpoint once, without a bus.

    The exit code does not depend on what targets answer: it is 0 if everything could be probed, and 1 for bad input.
    """
    if as_json and explain:
        raise SettingsError("--json and --explain cannot go together")
    by_hand = definition is not None or target is not None or bool(param)
    if by_hand and (definition is None or target is None or link):
        raise SettingsError("--probe NAME needs --target URL, may have --param NAME=VALUE, and no --link")

    from services.cli.probe_choice import choose, choose_record, define
    from services.cli.probe_runner import run
    from services.core.settings import load_settings
    from services.prober.kinds import ProbeEnvironment
    from services.register.directory import load_register

    register = load_register(directory)
    if definition is None or target is None:
        chosen = choose(register, link or (), vantage)
    else:
        chosen = [define(register, definition, target, param or ())]
    if record is not None:
        chosen = choose_record(chosen, record)
    environment = ProbeEnvironment.of(load_settings("prober", [], os.environ), directory)
    run(register, chosen, environment, vantage=vantage, explain=explain, as_json=as_json)
