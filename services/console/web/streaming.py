"""Sends a body in pieces, as it is made, so that one of any length takes little memory."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.console.pages import Stream
from services.core.status_pages import accepts_gzip

_LEVEL = 6
_GZIP = 16 + zlib.MAX_WBITS


async def streamed(request: Request, made: Stream, headers: Mapping[str, str]) -> Response:
    """Return an answer that sends ``made``. Raises whatever its first piece raises, before anything is sent.

    A later error ends the connection, so that a reader does not take a part for the whole.
    """
    first = await anext(made.pieces)
    packs = accepts_gzip(request.headers.get("accept-encoding", ""))
    if packs:
        headers = {**headers, "content-encoding": "gzip"}
    rest = None if request.method == "HEAD" else made.pieces
    return StreamingResponse(_packed(first, rest) if packs else _plain(first, rest), 200, headers, made.type)


async def _plain(first: str, rest: AsyncIterator[str] | None) -> AsyncIterator[bytes]:
    yield first.encode()
    if rest is not None:
        async for piece in rest:
            yield piece.encode()


async def _packed(first: str, rest: AsyncIterator[str] | None) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(_LEVEL, wbits=_GZIP)
    async for piece in _plain(first, rest):
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()
