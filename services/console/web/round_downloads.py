"""Files of frozen rounds, each as it was frozen, for readers who may see what is in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from services.console.web.answers import Site
from services.console.web.headers import security_headers
from services.console.web.metrics import ConsoleMetrics
from services.console.web.readers import PUBLIC, SIGNED, reader_of

_YEAR = 31536000


def round_route(site: Site, metrics: ConsoleMetrics, refuse: Callable[[Request, int], Response]) -> Route:
    """Return the route of all files of rounds. ``refuse`` answers with a page about a status."""

    async def download(request: Request) -> Response:
        reader = reader_of(site.audience, request.scope.get("session", {}), time.time())
        file = await asyncio.to_thread(site.round_files.find, request.path_params["round"], request.path_params["file"])
        if file is None:
            return refuse(request, 404)
        if not file.is_public and not reader.sees_everything:
            return refuse(request, 401 if site.audience == SIGNED and reader.role == PUBLIC else 404)
        kept = "public" if file.is_public else "private"
        headers = {
            **security_headers(encrypted=site.encrypted),
            "cache-control": f"{kept}, max-age={_YEAR}, immutable",
            "etag": f'"{file.sha256}"',
        }
        if request.headers.get("if-none-match") == headers["etag"]:
            metrics.served("round", 304)
            return Response(status_code=304, headers=headers)
        metrics.served("round", 200)
        return FileResponse(file.path, headers=headers, media_type=file.type, filename=file.path.name)

    return Route("/rounds/{round}/{file:path}", download, methods=["GET"])
