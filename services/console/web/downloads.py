"""Serves files from folders that the operator names: the export of open data and frozen rounds, each as written."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from stat import S_ISREG

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from services.console.queries import RoundFiles, media_type, read_export
from services.console.web.answers import Settled
from services.console.web.headers import YEAR_SECONDS, security_headers
from services.console.web.metrics import ConsoleMetrics
from services.console.web.readers import PUBLIC, SIGNED, reader_of

Refuse = Callable[[Request, int], Response]
"""Answers with a page about a status."""


def export_route(folder: Path, settled: Settled, metrics: ConsoleMetrics, refuse: Refuse) -> Route:
    """Return the route of the files that the description of an export lists, for everybody."""

    async def download(request: Request) -> Response:
        name = request.path_params["name"]
        found = await asyncio.to_thread(_find, folder, name)
        if found is None:
            return refuse(request, 404)
        headers = {"cache-control": "public, no-cache"}
        answer = FileResponse(folder / name, media_type=media_type(name), stat_result=found)
        return _unless_kept(request, answer, headers, settled, metrics, "open-data")

    return Route("/data/export/{name}", download, methods=["GET"])


def round_route(files: RoundFiles, settled: Settled, metrics: ConsoleMetrics, refuse: Refuse) -> Route:
    """Return the route of the files of frozen rounds, each for readers who may see its content."""

    async def download(request: Request) -> Response:
        reader = reader_of(settled.audience, request.scope.get("session", {}), time.time())
        file = await asyncio.to_thread(files.find, request.path_params["round"], request.path_params["file"])
        if file is None:
            return refuse(request, 404)
        if not file.is_public and not reader.sees_everything:
            return refuse(request, 401 if settled.audience == SIGNED and reader.role == PUBLIC else 404)
        kept = "public" if file.is_public else "private"
        headers = {"cache-control": f"{kept}, max-age={YEAR_SECONDS}, immutable", "etag": f'"{file.sha256}"'}
        answer = FileResponse(file.path, media_type=file.type, filename=file.path.name)
        return _unless_kept(request, answer, headers, settled, metrics, "round")

    return Route("/rounds/{round}/{file:path}", download, methods=["GET"])


def _unless_kept(
    request: Request, answer: Response, headers: Mapping[str, str], settled: Settled, metrics: ConsoleMetrics, page: str
) -> Response:
    """Return the answer with headers, or Not Modified if the reader has the same file already."""
    etag = headers.get("etag", answer.headers.get("etag", ""))
    if request.headers.get("if-none-match") == etag:
        answer = Response(status_code=304, headers={"etag": etag})
    answer.headers.update({**security_headers(encrypted=settled.encrypted), **headers})
    metrics.served(page, answer.status_code)
    return answer


def _find(folder: Path, name: str) -> os.stat_result | None:
    """Return the status of a file of the export; None for any other name, and for symbolic links."""
    export = read_export(folder)
    if export is None or name not in export.names:
        return None
    try:
        found = (folder / name).lstat()
    except OSError:
        return None
    return found if S_ISREG(found.st_mode) else None
