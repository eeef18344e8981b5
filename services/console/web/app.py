"""Builds the application: every page in every language, static files, and a helpful page for unknown addresses."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from urllib.parse import quote

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Route

from services.client import Client
from services.console.files import FILES
from services.console.pages import PAGES, File, Page
from services.console.queries import EditionFeed, RoundFiles
from services.console.texts import LANGUAGES
from services.console.web.answers import Pages, Settled
from services.console.web.assets import Assets, read_assets
from services.console.web.downloads import export_route, round_route
from services.console.web.headers import YEAR_SECONDS, security_headers
from services.console.web.languages import COOKIE, language_of
from services.console.web.metrics import ConsoleMetrics
from services.console.web.rendering import compile_templates
from services.console.web.sign_in import SESSION_SECONDS, sign_in_routes
from services.core.log import Logger
from services.core.status_pages import accepts_gzip


def make_app(
    settled: Settled,
    api: Client,
    feed: EditionFeed,
    registry: CollectorRegistry,
    log: Logger,
    clock: Callable[[], float],
) -> Starlette:
    """Return the application."""
    compile_templates()
    assets = read_assets()
    files, metrics = RoundFiles(settled.rounds), ConsoleMetrics(registry, settled.base)
    pages = Pages(settled, assets, files, api, feed, metrics, clock)

    def refuse(request: Request, status: int) -> Response:
        return pages.explain(pages.frame_for(request, language_of(request)), status)

    async def lost(request: Request, error: Exception) -> Response:
        """Answer an unknown address, a method that is not allowed, or a request that fails."""
        status, more = (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
        try:
            request.scope["query_string"].decode()
        except UnicodeDecodeError:  # a page needs its address, and decoding this one would fail again
            headers = security_headers(encrypted=settled.encrypted)
            return Response("This address is no text.\n", 400, headers, media_type="text/plain")
        other = _other_slash(request, routes) if status == 404 else None
        if other is not None:
            return RedirectResponse(other, 307, security_headers(encrypted=settled.encrypted))
        code = request.url.path.split("/")[1]
        language = code if code in LANGUAGES else language_of(request)
        return pages.explain(pages.frame_for(request, language), status, more=more)

    routes = _plain_routes(settled, assets, feed)
    if settled.open_data is not None:
        routes.append(export_route(settled.open_data, settled, metrics, refuse))
    routes += [
        Route(f"/{code}{page.path}", _answering(pages, page, code), methods=["GET"])
        for code in LANGUAGES
        for page in PAGES
    ]
    default = next(iter(LANGUAGES))
    routes += [Route(file.path, _answering(pages, file, default), methods=["GET"]) for file in FILES]
    routes.append(round_route(files, settled, metrics, refuse))
    middleware = []
    if settled.provider is not None:
        routes += sign_in_routes(settled.provider, settled.base, log, partial(refuse, status=401), time.time)
        middleware.append(
            Middleware(
                SessionMiddleware,
                secret_key=settled.session_key,
                session_cookie="session",
                max_age=SESSION_SECONDS,
                same_site="lax",
                https_only=settled.encrypted,
            )
        )
    app = Starlette(routes=routes, middleware=middleware, exception_handlers={HTTPException: lost, Exception: lost})
    app.router.redirect_slashes = False  # to the host and scheme of the request, which are those of a proxy
    return app


def _other_slash(request: Request, routes: Sequence[Route]) -> str | None:
    """Return the address without or with a slash at its end, None if there is nothing either."""
    path: str = request.scope["path"]
    other = path.rstrip("/") if path.endswith("/") else f"{path}/"
    if all(route.matches({**request.scope, "path": other})[0] is not Match.FULL for route in routes):
        return None
    return f"{quote(other)}?{request.url.query}" if request.url.query else quote(other)


def _plain_routes(settled: Settled, assets: Assets, feed: EditionFeed) -> list[Route]:
    """Return the routes that need no figures: health, the choice of a language, static files."""
    plain = security_headers(encrypted=settled.encrypted)

    async def healthz(_: Request) -> Response:
        """Say whether pages can be made, for a load balancer in front of several consoles."""
        serving = feed.edition is not None and feed.away_seconds == 0
        return Response("SERVING\n" if serving else "NOT_SERVING\n", 200 if serving else 503, media_type="text/plain")

    async def start(request: Request) -> Response:
        headers = {**plain, "vary": "Accept-Language, Cookie"}
        return RedirectResponse(f"/{language_of(request)}{request.url.path}", 307, headers)

    async def choose(request: Request) -> Response:
        """Remember the language that was chosen with the switch, and redirect to the same page in it."""
        code, rest = request.path_params["code"], request.path_params["rest"]
        query = f"?{request.url.query}" if request.url.query else ""
        answer = RedirectResponse(f"/{code}/{rest}{query}", 303, plain)
        if code in LANGUAGES:
            answer.set_cookie(COOKIE, code, YEAR_SECONDS, secure=settled.encrypted, httponly=True, samesite="lax")
        return answer

    async def static(request: Request) -> Response:
        asset = assets.served.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        headers = {**plain, "cache-control": f"public, max-age={YEAR_SECONDS}, immutable", "vary": "Accept-Encoding"}
        if accepts_gzip(request.headers.get("accept-encoding", "")):
            return Response(asset.compressed, 200, {**headers, "content-encoding": "gzip"}, asset.type)
        return Response(asset.body, 200, headers, asset.type)

    return [
        Route("/", start),
        Route("/data", start),
        Route("/healthz", healthz),
        Route("/language/{code}/{rest:path}", choose),
        Route("/static/{name}", static),
    ]


def _answering(pages: Pages, page: Page | File, code: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return await pages.answer(request, page, code)

    return answer
