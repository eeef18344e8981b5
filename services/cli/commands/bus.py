"""``peyvand bus``: what an administrator does to the message bus."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from services.cli.reaching import reached
from services.core.bus import (
    accounts,
    authorization_file,
    initialise_streams,
    read_users,
    replace_seed,
    restore_stream,
    retire_seeds,
    save_stream,
    stream_configs,
    write_configuration,
    write_seeds,
)
from services.core.settings import Settings, load_settings

__all__ = ["app", "bus_settings"]

app = typer.Typer(no_args_is_help=True)

Nats = Annotated[str, typer.Option(help="URL of the message bus.")]
Credentials = Annotated[str, typer.Option(help="Folder of the roles' nkey seeds.")]


def bus_settings(nats: str, credentials: str) -> Settings:
    """Settings as components read them: these flags where they are given, then PEYVAND_*, then a file."""
    given = {"--nats": nats, "--credentials": credentials}
    return load_settings("bus", [word for flag, value in given.items() if value for word in (flag, value)], os.environ)


@app.command()
def init(
    nats: Nats = "",
    credentials: Credentials = "",
    replicas: Annotated[
        int | None,
        typer.Option(
            min=1, max=5, help="Copies of each stream: 1 alone, 3 in a cluster; without it as many as there are."
        ),
    ] = None,
) -> None:
    """Create every stream and bucket, or bring them up to date; doing it again changes nothing."""
    settings = bus_settings(nats, credentials)

    async def run() -> None:
        async with reached(settings, role="admin", name="bus-init", patience=None) as bus:
            await initialise_streams(bus, replicas=replicas)

    asyncio.run(run())
    typer.echo("ready: " + ", ".join(str(config.name) for config in stream_configs(1)))


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder; each stream and bucket in one of its own.")],
    nats: Nats = "",
    credentials: Credentials = "",
) -> None:
    """Keep every stream and bucket in files, while the bus goes on."""
    settings = bus_settings(nats, credentials)

    async def run() -> None:
        async with reached(settings, role="admin", name="bus-backup") as bus:
            for config in stream_configs(1):
                last = await save_stream(bus, str(config.name), folder / str(config.name))
                typer.echo(f"{config.name}: kept up to message {last}")

    asyncio.run(run())


@app.command("restore")
def restore_(
    folder: Annotated[Path, typer.Argument(help="What `peyvand bus backup` wrote.")],
    nats: Nats = "",
    credentials: Credentials = "",
) -> None:
    """Put back every stream and bucket of a backup, with its sequences, into a bus that is empty."""
    settings = bus_settings(nats, credentials)

    async def run() -> None:
        async with reached(settings, role="admin", name="bus-restore") as bus:
            for config in stream_configs(1):
                last = await restore_stream(bus, folder / str(config.name))
                typer.echo(f"{config.name}: restored up to message {last}")

    asyncio.run(run())


@app.command()
def users(
    folder: Annotated[Path, typer.Argument(help="Folder of the users' seeds, a folder each.")],
    vantage: Annotated[list[str], typer.Option(help="A vantage of the register; may be repeated.")],
    bus: Annotated[list[str] | None, typer.Option(help="A data bus; may be repeated.")] = None,
    out: Annotated[Path, typer.Option(help="The file that the server's configuration includes.")] = Path("users.conf"),
    replace: Annotated[
        str, typer.Option(metavar="USER", help="Give this user a new seed beside the present one.")
    ] = "",
    retire: Annotated[bool, typer.Option("--retire", help="Remove the seeds that were replaced.")] = False,
) -> None:
    """Make the seeds that are missing, and the server's list of users; reload the server to have it admit them."""
    everyone = accounts(vantage, bus or ["xroad"])
    made = write_seeds(folder, everyone)
    if replace:
        replace_seed(folder, everyone, replace)
    retired = retire_seeds(folder, everyone) if retire else ()
    known = list(read_users(folder, everyone))
    write_configuration(out, authorization_file(known))
    told = {"made": made, "replaced": (replace,) if replace else (), "retired": retired}
    typer.echo("; ".join([f"{out} lists {len(known)} users", *(f"{k}: {', '.join(v)}" for k, v in told.items() if v)]))
