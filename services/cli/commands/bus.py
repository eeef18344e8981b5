"""Declares ``peyvand bus``, with which an administrator manages the message bus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.commands.options import Credentials, Nats, command_group
from services.core.errors import SettingsError

if TYPE_CHECKING:
    from services.core.bus import Bus

app = command_group("Prepare, back up and restore the message bus.")


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
    storage: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="What all streams may take on a server, such as 20GiB; without it what they may already, or 20GiB.",
        ),
    ] = "",
) -> None:
    """Create every stream and bucket, or bring them up to date.

    Doing it again changes nothing.
    """
    import asyncio

    from services.cli.connections import bus_settings, open_bus
    from services.core.bus import initialise_streams
    from services.register.reading import read_size

    settings = bus_settings(nats, credentials)
    try:
        size = read_size(storage, largest=1 << 40) if storage else None  # the most for all streams on a server
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--storage") from error

    async def run() -> None:
        async with open_bus(settings, role="admin", name="bus-init", patience=None) as bus:
            limits = await initialise_streams(bus, replicas=replicas, storage=size)
        typer.echo("ready: " + ", ".join(f"{name} of {limit / 2**30:.1f} GiB" for name, limit in limits.items()))

    asyncio.run(run())


@app.command()
def remake(
    stream: Annotated[str, typer.Argument(help="The stream, as nats-server's log has it, such as KV_indicator.")],
    nats: Nats = "",
    credentials: Credentials = "",
) -> None:
    """Create anew, empty, a stream that no server of the cluster leads.

    That is so when each of them has lost what the others would need. A stream that is served is left as it is.
    """
    import asyncio

    from services.cli.connections import bus_settings, open_bus
    from services.core.bus import remake_stream

    settings = bus_settings(nats, credentials)

    async def run() -> None:
        async with open_bus(settings, role="admin", name="bus-remake", patience=None) as bus:
            await remake_stream(bus, stream)
        typer.echo(f"ready: {stream}, which is empty")

    asyncio.run(run())


@app.command()
def stuck(
    health: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where nats-server serves /healthz.")
    ] = "127.0.0.1:8222",
    store: Annotated[
        Path, typer.Option(exists=True, file_okay=False, readable=False, help="The folder of its streams.")
    ] = Path("/var/lib/peyvand/nats"),
) -> None:
    """Say whether nats-server must be started again.

    It must when it refuses messages since its disk was full, and there is room now. Exit code 0 if so, 1 otherwise.
    """
    from services.cli.bus_disk import write_error
    from services.core.settings import parse_address

    parse_address(health)
    reason = write_error(health, store)
    typer.echo(reason or f"nothing is to be done about {health}")
    raise typer.Exit(not reason)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder; each stream and bucket in one of its own.")],
    nats: Nats = "",
    credentials: Credentials = "",
) -> None:
    """Keep every stream and bucket in files, while the bus goes on."""
    from services.core.bus import save_stream

    _copy_streams(
        lambda bus, stream: save_stream(bus, stream, folder / stream), "kept", nats, credentials, name="bus-backup"
    )


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="What `peyvand bus backup` wrote.")],
    nats: Nats = "",
    credentials: Credentials = "",
) -> None:
    """Put back every stream and bucket of a backup.

    Sequence numbers stay the same. The bus must be empty.
    """
    from services.core.bus import restore_stream

    _copy_streams(
        lambda bus, stream: restore_stream(bus, folder / stream), "restored", nats, credentials, name="bus-restore"
    )


def _copy_streams(
    copy: Callable[[Bus, str], Awaitable[int]], done: str, nats: str, credentials: str, *, name: str
) -> None:
    """Copy stream after stream; ``copy`` returns the sequence of the last message."""
    import asyncio

    from services.cli.connections import bus_settings, open_bus
    from services.core.bus import stream_configs

    settings = bus_settings(nats, credentials)

    async def run() -> None:
        async with open_bus(settings, role="admin", name=name) as bus:
            for config in stream_configs(1):
                last = await copy(bus, str(config.name))
                typer.echo(f"{config.name}: {done} up to message {last}")

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
    """Make missing seeds, and the server's list of users.

    Reload the server to have it admit them.
    """
    from services.core.bus import (
        accounts,
        accounts_file,
        read_users,
        replace_seed,
        retire_seeds,
        write_configuration,
        write_seeds,
    )
    from services.register.reading import read_id

    try:
        everyone = accounts([read_id(name) for name in vantage], [read_id(name) for name in bus or ["xroad"]])
        made = write_seeds(folder, everyone)
        if replace:
            replace_seed(folder, everyone, replace)
        retired = retire_seeds(folder, everyone) if retire else ()
        listed = list(read_users(folder, everyone))
        write_configuration(out, accounts_file(listed))
    except ValueError as error:
        raise SettingsError(f"a vantage or a bus cannot be named so: {error}") from error
    except OSError as error:
        reason = ": ".join(str(part) for part in (error.filename, error.strerror) if part)  # a full disk names no file
        raise SettingsError(f"the seeds in {folder} or the list {out} cannot be written: {reason}") from error
    changes = {"made": made, "replaced": (replace,) if replace else (), "retired": retired}
    parts = [f"{what}: {', '.join(names)}" for what, names in changes.items() if names]
    typer.echo("; ".join([f"{out} lists {len(listed)} users", *parts]))
