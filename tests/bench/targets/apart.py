"""Run servers in another process, so that their costs are not counted as the prober's."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from multiprocessing.connection import Connection

import uvloop

__all__ = ["Serving", "Urls", "apart"]

Urls = Mapping[str, str]
"""The URL of each server by its name."""

Serving = Callable[[], AbstractAsyncContextManager[Urls]]


def _serve(serving: Serving, pipe: Connection) -> None:
    async def serve() -> None:
        async with serving() as urls:
            pipe.send(urls)
            ended = asyncio.Event()
            asyncio.get_running_loop().add_reader(pipe.fileno(), ended.set)  # readable once the other end is closed
            await ended.wait()
            asyncio.get_running_loop().remove_reader(pipe.fileno())

    uvloop.run(serve())


@contextmanager
def apart(serving: Serving) -> Iterator[Urls]:
    """Run the servers of ``serving`` in another process until the context ends."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(serving, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join(5)
        process.kill()
        process.join()
