"""Declares ``peyvand bus``, with which an administrator manages the message bus."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.commands.options import Credentials, Nats, command_group
from services.core.errors import SettingsError, reason_of

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
            min=1, max=5, help="Copies of each stream: 1 on a single server, 3 in a cluster; by default as many as now."
        ),
    ] = None,
    storage: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="Limit of all streams together on a server, such as 20GiB; by default, existing limits stay.",
        ),
    ] = "",
) -> None:
    """Create or update every stream and bucket.

    Repeating it changes nothing.
    """
    from services.cli.connections import run_on_bus
    from services.core.bus import initialise_streams
    from services.register.reading import read_size

    try:
        size = read_size(storage, largest=1 << 40) if storage else None  # the most for all streams on a server
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--storage") from error
    work = partial(initialise_streams, replicas=replicas, storage=size)
    limits = run_on_bus(work, nats, credentials, role="admin", name="bus-init", patience=None)
    typer.echo("ready: " + ", ".join(f"{name} of {limit / 2**30:.1f} GiB" for name, limit in limits.items()))


@app.command()
def remake(
    stream: Annotated[str, typer.Argument(help="Name of the stream in nats-server's log, such as KV_indicator.")],
    nats: Nats = "",
    credentials: Credentials = "",
) -> None:
    """Recreate a stream that no server of the cluster leads.

    A stream loses its leader when each server has lost what the others need. It is empty afterwards. A stream that has a
    leader stays as it is.
    """
    from services.cli.connections import run_on_bus
    from services.core.bus import remake_stream

    work = partial(remake_stream, name=stream)
    run_on_bus(work, nats, credentials, role="admin", name="bus-remake", patience=None)
    typer.echo(f"ready: {stream}, which is empty")


@app.command()
def stuck(
    health: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Address of nats-server's /healthz.")
    ] = "127.0.0.1:8222",
    store: Annotated[
        Path, typer.Option(exists=True, file_okay=False, readable=False, help="The folder of its streams.")
    ] = Path("/var/lib/peyvand/nats"),
) -> None:
    """Check whether nats-server must be restarted.

    It must if it refuses messages because its disk was full, and the disk has room again. The exit code is 0 in that
    case, and 1 otherwise.
    """
    from services.cli.bus_disk import write_error
    from services.core.settings import parse_address

    parse_address(health)
    reason = write_error(health, store)
    typer.echo(reason or f"nothing shows that {health} must be restarted because its disk was full")
    raise typer.Exit(not reason)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder, with a subfolder for each stream and bucket.")],
    nats: Nats = "",
    credentials: Credentials = "",
) -> None:
    """Store every stream and bucket in files while the bus runs."""
    from services.cli.connections import run_on_bus
    from services.core.bus import save_stream, streams_to_save

    async def save_all(bus: Bus) -> None:
        for stream in await streams_to_save(bus):
            last = await save_stream(bus, stream, folder / stream)
            typer.echo(f"{stream}: kept up to message {last}")

    run_on_bus(save_all, nats, credentials, role="admin", name="bus-backup")


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="The folder that `peyvand bus backup` wrote.")],
    nats: Nats = "",
    credentials: Credentials = "",
) -> None:
    """Restore every stream and bucket of a backup.

    The bus must be empty. Sequence numbers stay the same.
    """
    from services.cli.connections import run_on_bus
    from services.core.bus import STREAMS, check_empty, restore_stream, streams_of_backup

    try:
        is_backup = any((folder / stream).is_dir() for stream in STREAMS)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be read: {reason_of(error)}") from error
    if not is_backup:
        raise SettingsError(f"{folder} holds no backup: name the folder that `peyvand bus backup` wrote")
    streams = streams_of_backup(folder)

    async def restore_all(bus: Bus) -> None:
        await check_empty(bus)
        for stream in streams:
            last = await restore_stream(bus, folder / stream)
            typer.echo(f"{stream}: restored up to message {last}")

    run_on_bus(restore_all, nats, credentials, role="admin", name="bus-restore")
    for stream in (name for name in STREAMS if name not in streams):
        typer.echo(
            f"{stream}: not in the backup, which an earlier version made; `peyvand bus init` creates it", err=True
        )


@app.command()
def users(
    folder: Annotated[Path, typer.Argument(help="Folder of the seeds, with a subfolder for each user.")],
    vantage: Annotated[list[str], typer.Option(help="A vantage of the register; may be repeated.")],
    bus: Annotated[list[str] | None, typer.Option(help="A data bus; may be repeated.")] = None,
    out: Annotated[Path, typer.Option(help="The list of users, which the server's configuration includes.")] = Path(
        "users.conf"
    ),
    replace: Annotated[
        str, typer.Option(metavar="USER", help="Give this user a new seed beside the present one.")
    ] = "",
    retire: Annotated[bool, typer.Option("--retire", help="Remove the seeds that were replaced.")] = False,
) -> None:
    """Create missing seeds, and write the server's list of users.

    The server admits the users of the list once it is reloaded.
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
