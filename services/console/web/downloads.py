"""Files of the export of open data, at ``/data/export/<name>`` for everybody: only those that its description lists."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from services.console.pages import MEDIA_TYPES, read_export


def download_route(folder: Path, plain: Mapping[str, str]) -> Route:
    """Return the route of the files in a folder; ``plain`` are the headers of every answer."""

    async def download(request: Request) -> Response:
        name = request.path_params["name"]
        found = await asyncio.to_thread(_find, folder, name)
        if found is None:
            raise HTTPException(404)
        headers = {**plain, "cache-control": "public, no-cache"}
        media_type = MEDIA_TYPES[name.rpartition(".")[2]]
        answer = FileResponse(folder / name, 200, headers, media_type, stat_result=found)
        if request.headers.get("if-none-match") == answer.headers["etag"]:
            return Response(status_code=304, headers={**headers, "etag": answer.headers["etag"]})
        return answer

    return Route("/data/export/{name}", download, methods=["GET"])


def _find(folder: Path, name: str) -> os.stat_result | None:
    """Return the state of a file of the export; None for any other, and for what leads elsewhere."""
    export = read_export(folder)
    if export is None or name not in export.names:
        return None
    try:
        found = (folder / name).lstat()
    except OSError:
        return None
    return found if S_ISREG(found.st_mode) else None
