"""Declares ``peyvand opendata``, which exports what is published as files for everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.options import command_group, read_day_option

app = command_group("Export open data.")


@app.callback()
def _opendata() -> None:
    """Keep the name of the only command."""


@app.command()
def export(
    *,
    out: Annotated[Path, typer.Argument(help="Folder for the files; those of an older export are replaced.")],
    archive: Annotated[str, typer.Option(help="Folder or address of the dataset.", metavar="ADDRESS")],
    since: Annotated[
        str, typer.Option("--from", help="First day, YYYY-MM-DD; by default the first of all.", metavar="DAY")
    ] = "",
    until: Annotated[str, typer.Option("--to", help="Last day; by default the newest.", metavar="DAY")] = "",
    register: Annotated[
        Path | None,
        typer.Option(help="Register in place of the archived one, for its rounds and licence.", metavar="DIR"),
    ] = None,
) -> None:
    """Export published data as CSV and Parquet.

    The files hold published numbers, the structure, the official rounds and the register, with descriptions. They hold no
    targets, no reasons or details of failures, and no exchanges.
    """
    from services.cli.opendata.export import read_contents, write_export
    from services.core.errors import SettingsError

    first = read_day_option("--from", since).isoformat() if since else ""
    last = read_day_option("--to", until).isoformat() if until else ""
    if first and last and last < first:
        raise SettingsError(f"--to {last} is before --from {first}")
    contents = read_contents(archive, register, first=first, last=last)
    names = write_export(out, contents)
    if not contents.stated.licence:
        typer.echo("no licence is stated: name one under open_data in policy.yaml", err=True)
    typer.echo(f"{len(names)} files of {contents.first} to {contents.last}: {out}")
