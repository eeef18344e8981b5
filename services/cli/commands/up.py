"""Declares ``peyvand up``, which runs the whole system on this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from services.core.errors import SettingsError

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


_LAST_FIRST_PORT = 65535 - 17
"""Ports up to 17 after the first are taken (services/cli/up/plan.py)."""


def _seconds(option: str, text: str) -> float:
    """Return a duration such as 60s, 5m or 90 in seconds. Raises SettingsError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)", text.strip())
    if match is None:
        raise SettingsError(f"{option} {text!r} is not a duration such as 60s or 5m")
    return float(match[1]) * _UNITS[match[2]]


def up(
    register: Annotated[Path | None, typer.Option(help="Register directory to measure.", metavar="DIR")] = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Measure a simulated government.")] = False,
    scenario: Annotated[str, typer.Option(help="With --sandbox: small or national.")] = "small",
    seed: Annotated[int, typer.Option(help="With --sandbox: seed of the scenario and its faults.")] = 1,
    slot: Annotated[str, typer.Option(help="With --sandbox: length of a slot, in whole seconds.")] = "4s",
    faults: Annotated[float, typer.Option(help="With --sandbox: intensity of the injected faults; 0: none.")] = 1.0,
    traffic: Annotated[float, typer.Option(help="With --sandbox: exchanges a second over the data bus.")] = 40.0,
    seconds: Annotated[str | None, typer.Option("--for", help="End after this time, such as 60s.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of all state; by default peyvand-data/sandbox or /live.", metavar="DIR")
    ] = None,
    exchanges: Annotated[Path | None, typer.Option(help="X-Road exchange log to replay.", metavar="FILE")] = None,
    sources: Annotated[
        Path | None, typer.Option(help="List of what the collector reads (docs/exchange.md).", metavar="FILE")
    ] = None,
    first_port: Annotated[
        int,
        typer.Option(min=1, max=_LAST_FIRST_PORT, help="Port of gRPC; console, bus and metrics use ports after it."),
    ] = 7410,
    base_port: Annotated[int, typer.Option(help="With --sandbox: first port of the simulated agencies.")] = 7500,
) -> None:
    """Run everything on this machine, with a table that updates.

    Ctrl-C stops everything.
    """
    import asyncio

    from services.cli.up import SystemPlan, run

    if sandbox == (register is not None):
        raise SettingsError("`peyvand up` needs either --sandbox or --register DIR")
    if exchanges is not None and sources is not None:
        raise SettingsError("`peyvand up` reads either --exchanges FILE or --sources FILE")
    length = _seconds("--slot", slot)
    if length < 2 or length != int(length):
        raise SettingsError(f"--slot {slot} must be whole seconds, 2 or more")
    flags = {
        "scenario": scenario,
        "seed": seed,
        "slot": int(length),
        "base_port": base_port,
        "faults": faults,
        "traffic": traffic,
    }
    plan = SystemPlan(
        data=data or Path("peyvand-data") / ("sandbox" if sandbox else "live"),
        register=register,
        sandbox=flags,
        first_port=first_port,
        seconds=None if seconds is None else _seconds("--for", seconds),
        exchanges=exchanges,
        sources=sources,
    )
    asyncio.run(run(plan))
