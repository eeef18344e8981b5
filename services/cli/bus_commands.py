"""``peyvand bus``: what an administrator does to the message bus."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from services.core.bus import connect
from services.core.bus.topology import initialise, streams

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``init`` a sub-command while it is the only one."""


@app.command()
def init(
    nats: Annotated[str, typer.Option(envvar="PEYVAND_NATS", help="URL of the bus")] = "nats://127.0.0.1:7412",
    credentials: Annotated[
        Path, typer.Option(envvar="PEYVAND_CREDENTIALS", help="folder of the roles' nkey seeds")
    ] = Path("peyvand-data/credentials"),
    replicas: Annotated[int, typer.Option(min=1, max=5, help="copies of each stream: 1 alone, 3 in a cluster")] = 1,
) -> None:
    """Create every stream and bucket, or bring them up to date; doing it again changes nothing."""

    async def run() -> None:
        async with connect(nats, role="admin", credentials=credentials, name="bus-init") as bus:
            await initialise(bus, replicas=replicas)

    asyncio.run(run())
    typer.echo("ready: " + ", ".join(str(config.name) for config in streams(replicas)))
