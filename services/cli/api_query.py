"""Queries of commands to the api."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from google.protobuf.message import Message
from rich.console import RenderableType

from services.cli.render.format import new_console, print_message
from services.client import Client, TlsFiles, connect

_CALL_SECONDS = 10.0
"""How long a call may take: what the api reads from the bus for an answer may take as long."""

T = TypeVar("T")
Answer = TypeVar("Answer", bound=Message)


def query(address: str, work: Callable[[Client], Awaitable[T]]) -> T:
    """Return what ``work`` makes of the api at HOST:PORT or tls://HOST:PORT. Raises ApiError or SettingsError.

    The environment names PEM files for TLS: PEYVAND_API_CA, PEYVAND_API_CERTIFICATE and PEYVAND_API_KEY.
    """
    names = (os.environ.get(f"PEYVAND_API_{name}") for name in ("CA", "CERTIFICATE", "KEY"))
    tls = TlsFiles(*(Path(name) if name else None for name in names))

    async def run() -> T:
        async with connect(address, timeout=_CALL_SECONDS, tls=tls) as client:
            return await work(client)

    return asyncio.run(run())


def show_answer(
    address: str,
    call: Callable[[Client], Awaitable[Answer]],
    view: Callable[[Answer, ZoneInfo], RenderableType],
    *,
    as_json: bool,
) -> None:
    """Print the answer to one call as JSON, or its view with times in the policy's timezone. Raises as ``query`` does."""

    async def work(client: Client) -> None:
        answer = await call(client)
        if as_json:
            print_message(answer)
        else:
            new_console().print(view(answer, await client.timezone()))

    query(address, work)
