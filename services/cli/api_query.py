"""Queries the api for commands."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from google.protobuf.message import Message
from rich.console import RenderableType

from services.cli.render.format import did_you_mean, name_of, new_console, print_message
from services.client import Client, IndicatorKind, TlsFiles, connect
from services.core.errors import ApiError, ApiNotFoundError

_CALL_SECONDS = 10.0
"""How long a call may take, since the api may take as long to read from the bus."""

T = TypeVar("T")
Answer = TypeVar("Answer", bound=Message)

Named = tuple[IndicatorKind, str]
"""A kind and an id that a person typed."""

Names = Mapping[str, str]
"""Names by id."""


def query(address: str, work: Callable[[Client], Awaitable[T]], named: Named | None = None) -> T:
    """Return the result of ``work`` with the api at HOST:PORT or tls://HOST:PORT. Raises ApiError or SettingsError.

    When the api does not know the ``named`` entity, the error suggests similar ids. The environment names PEM files for
    TLS: PEYVAND_API_CA, PEYVAND_API_CERTIFICATE and PEYVAND_API_KEY.
    """
    names = (os.environ.get(f"PEYVAND_API_{name}") for name in ("CA", "CERTIFICATE", "KEY"))
    tls = TlsFiles(*(Path(name) if name else None for name in names))

    async def run() -> T:
        async with connect(address, timeout=_CALL_SECONDS, tls=tls) as client:
            try:
                return await work(client)
            except ApiNotFoundError as error:
                if named is None:
                    raise
                raise ApiNotFoundError(f"{error}{await _similar(client, *named)}", error.reason) from error

    return asyncio.run(run())


async def _similar(client: Client, kind: IndicatorKind, entity: str) -> str:
    try:
        return did_you_mean(entity, [one.id async for one in client.indicators(kind)])
    except ApiError:
        return ""  # the first error says what is wrong


async def names_of(client: Client, kind: IndicatorKind) -> dict[str, str]:
    """Return the names of all agencies or services by id; none for other kinds."""
    if kind in (IndicatorKind.CONSUMER, IndicatorKind.PROVIDER):
        return {one.id: name_of(one) async for one in client.agencies()}
    if kind is IndicatorKind.SERVICE:
        return {one.id: name_of(one) async for one in client.services()}
    return {}


def show_answer(
    address: str,
    call: Callable[[Client], Awaitable[Answer]],
    view: Callable[[Answer, ZoneInfo, Names], RenderableType],
    *,
    as_json: bool,
    named: Named | None = None,
) -> None:
    """Print the answer to one call as JSON, or its view with times in the policy's timezone and the names of agencies.

    ``named`` and errors are those of ``query``.
    """

    async def work(client: Client) -> None:
        answer = await call(client)
        if as_json:
            print_message(answer)
        else:
            names = await names_of(client, IndicatorKind.PROVIDER)
            new_console().print(view(answer, await client.timezone(), names))

    query(address, work, named)
