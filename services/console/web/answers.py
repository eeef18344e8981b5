"""Answers requests for pages: from the cache while the figures are unchanged, else by making the page again."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from services.client import Client
from services.console.pages import Content, File, NoSuchPageError, Page, Stream, Visit
from services.console.queries import EditionFeed, RoundFiles
from services.console.texts import LANGUAGES
from services.console.web.assets import Assets
from services.console.web.cache import KeptPage, PageCache
from services.console.web.frame import PARAMETERS, Frame
from services.console.web.headers import security_headers
from services.console.web.languages import language_of
from services.console.web.metrics import ConsoleMetrics
from services.console.web.readers import OPEN, SIGNED, reader_of
from services.console.web.rendering import render
from services.console.web.sign_in import Provider
from services.console.web.streaming import streamed
from services.core.errors import ApiForbiddenError, ApiNotApplicableError, ApiNotFoundError, ApiUnavailableError
from services.core.status_pages import accepts_gzip

STALE_SECONDS = 300.0
"""How long pages are shown after the api is gone: longer than a restart takes, and short enough not to mislead."""

GATHER_SECONDS = 2.0
"""How long gathering a page may take."""

_LATE = (ApiUnavailableError, TimeoutError)
_NOTICE = "<!--notice-->"
_HTML = "text/html; charset=utf-8"
_RENEW_SECONDS = (5, 60)
_RETRY_SECONDS = 3
_LONGEST_QUERY = 500


@dataclass(frozen=True, slots=True)
class Settled:
    """The operator's decisions: who may see what, and where the console is found.

    ``base`` is its public address without a slash at the end; ``dashboards`` is Grafana's, or empty. ``rounds`` is the
    folder of frozen rounds, ``open_data`` that of the export of open data. Audience `signed` needs a provider of
    identities and the key of its cookies.
    """

    audience: str = "open"
    base: str = ""
    dashboards: str = ""
    rounds: Path | None = None
    provider: Provider | None = None
    session_key: str = ""
    open_data: Path | None = None

    @property
    def encrypted(self) -> bool:
        """Whether readers reach it by TLS, here or at a proxy in front of it."""
        return self.base.startswith("https://")


class Pages:
    """Answers requests for pages. ``clock`` is in seconds, monotonic."""

    def __init__(
        self,
        settled: Settled,
        assets: Assets,
        round_files: RoundFiles,
        api: Client,
        feed: EditionFeed,
        metrics: ConsoleMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._settled = settled
        self._assets = assets
        self._round_files = round_files
        self._api = api
        self._feed = feed
        self._metrics = metrics
        self._clock = clock
        self._cache = PageCache()
        self._making: dict[str, asyncio.Task[KeptPage]] = {}

    async def answer(self, request: Request, page: Page | File, language: str) -> Response:
        """Return a page, the status Not Modified, or a page that explains why there is none."""
        frame = self.frame_for(request, language, page)
        reader = frame.reader
        # A file has no language, but the page that says why there is none has one.
        failure = frame if isinstance(page, Page) else replace(frame, language=LANGUAGES[language_of(request)])
        if not page.is_public and not reader.sees_links:
            return self.explain(failure, 401 if self._settled.audience == SIGNED else 404)
        key = f"{reader.role} {reader.subject} {reader.token} {frame.here()}"  # a page holds the token of its session
        kept = self._cache.find(key)
        etag = self._etag(key)
        if etag is None or self._feed.away_seconds > 0:
            return self._old(request, failure, page, kept)
        if request.headers.get("if-none-match") == etag:
            self._metrics.served(page.name, 304)
            return Response(status_code=304, headers=self._headers(page, etag))
        try:
            return await self._new(request, page, frame, key, etag)
        except (NoSuchPageError, ApiNotFoundError, ApiForbiddenError, ApiNotApplicableError, *_LATE) as error:
            if isinstance(error, _LATE):
                return self._old(request, failure, page, kept)
            return self.explain(failure, 404, unlisted=isinstance(error, ApiNotApplicableError))

    async def _new(self, request: Request, page: Page | File, frame: Frame, key: str, etag: str) -> Response:
        """Return the page of this edition, made unless it is kept already."""
        if isinstance(page, File) and page.is_long:
            return await self._streamed(request, page, self._visit(frame, request.path_params), etag)
        kept = self._cache.find(key)
        if kept is None or kept.etag != etag:
            kept = await self._made(key, etag, frame, page, request.path_params)
        return self._send(request, page, kept)

    def _old(self, request: Request, frame: Frame, page: Page | File, kept: KeptPage | None) -> Response:
        """Return the last made page with a notice of its age, or a page that says that figures cannot be read."""
        # While the api is slow but not away, the age of the page counts.
        if kept is None or (self._feed.away_seconds or self._clock() - kept.made) >= STALE_SECONDS:
            return self.explain(frame, 503)
        return self._send(request, page, self._aged(frame, kept))

    def explain(
        self, frame: Frame, status: int, *, unlisted: bool = False, more: Mapping[str, str] | None = None
    ) -> Response:
        """Return a page about what went wrong and where to go from here, with ``more`` headers.

        With ``unlisted`` there is no index of the page's subject, because no inquiry of it is in force.
        """
        self._metrics.served("error", status)
        frame = replace(frame, renew_seconds=_RETRY_SECONDS if status == 503 else 0)
        body = render(frame, "error", status=status, unlisted=unlisted, waiting=self._feed.awaits_figures, view=None)
        headers = {**security_headers(encrypted=self._settled.encrypted), "cache-control": "no-store", **(more or {})}
        if status == 503:
            headers["retry-after"] = "5"
        return Response(body, status, headers, media_type=_HTML)

    def frame_for(self, request: Request, language: str, page: Page | File | None = None) -> Frame:
        """Return the frame of an address, which may be neither a page nor a file."""
        names = self._feed.names
        given = request.query_params.items()
        query = {key: value for key, value in given if key in PARAMETERS and len(value) <= _LONGEST_QUERY}
        path = request.url.path.removeprefix(f"/{language}") or "/"
        least, most = _RENEW_SECONDS
        return Frame(
            language=LANGUAGES[language],
            page=page.name if page else "",
            path=path,
            assets=self._assets,
            query=query,
            edition=self._feed.edition,
            names=names,
            window=_window(query, names.windows_days if names else ()),
            is_page=isinstance(page, Page),
            audience=self._settled.audience,
            reader=reader_of(self._settled.audience, request.scope.get("session", {}), time.time()),
            base=self._settled.base,
            dashboards=self._settled.dashboards,
            renew_seconds=min(max(names.slot_seconds, least), most) if names and isinstance(page, Page) else 0,
        )

    async def _made(self, key: str, etag: str, frame: Frame, page: Page | File, path: Mapping[str, str]) -> KeptPage:
        """Make the page and return it; simultaneous requests for the same page wait for one task."""
        making = self._making.get(f"{etag}{key}")
        if making is None:
            making = self._making[f"{etag}{key}"] = asyncio.ensure_future(self._make(etag, frame, page, path))
            making.add_done_callback(lambda _: self._making.pop(f"{etag}{key}", None))
        kept = await asyncio.shield(making)
        self._cache.keep(key, kept)
        return kept

    async def _make(self, etag: str, frame: Frame, page: Page | File, path: Mapping[str, str]) -> KeptPage:
        with self._metrics.making(page.name):
            async with asyncio.timeout(GATHER_SECONDS):
                view = await page.gather(self._visit(frame, path))
            if isinstance(view, Content):
                return self._kept(view.text, etag, view.type)
            return self._kept(render(frame, page.name, view=view), etag)

    async def _streamed(self, request: Request, page: File, visit: Visit, etag: str) -> Response:
        """Return a file that is sent as it is made, once its first piece is there. It is too long to be kept."""
        with self._metrics.making(page.name):
            async with asyncio.timeout(GATHER_SECONDS):
                made = await page.gather(visit)
                assert isinstance(made, Stream)
                answer = await streamed(request, made, self._headers(page, etag))
        self._metrics.served(page.name, answer.status_code)
        return answer

    def _visit(self, frame: Frame, path: Mapping[str, str]) -> Visit:
        assert frame.names is not None
        assert frame.edition is not None
        return Visit(
            api=self._api if self._settled.audience == OPEN else self._api.on_behalf_of(frame.reader.role),
            names=frame.names,
            edition=frame.edition,
            language=frame.language.code,
            window=frame.window,
            path=path,
            query=frame.query,
            base=frame.base,
            sees_links=frame.reader.sees_links,
            sees_everything=frame.reader.sees_everything,
            round_files=self._round_files,
            open_data=self._settled.open_data,
        )

    def _kept(self, text: str, etag: str, media_type: str = _HTML) -> KeptPage:
        body = text.encode()
        return KeptPage(etag, media_type, body, gzip.compress(body, 6, mtime=0), self._clock())

    def _aged(self, frame: Frame, kept: KeptPage) -> KeptPage:
        """Return a page with a notice of its age."""
        self._metrics.aged()
        if kept.type != _HTML:
            return kept
        notice = render(frame, "notice", age=self._clock() - kept.made)
        return self._kept(kept.body.decode().replace(_NOTICE, notice, 1), "")

    def _send(self, request: Request, page: Page | File, kept: KeptPage) -> Response:
        self._metrics.served(page.name, 200)
        headers = self._headers(page, kept.etag)
        if accepts_gzip(request.headers.get("accept-encoding", "")):
            return Response(kept.compressed, 200, {**headers, "content-encoding": "gzip"}, media_type=kept.type)
        return Response(kept.body, 200, headers, media_type=kept.type)

    def _headers(self, page: Page | File, etag: str) -> Mapping[str, str]:
        private = self._settled.audience == SIGNED
        framed = isinstance(page, File) and page.is_framed
        headers = {
            **security_headers(encrypted=self._settled.encrypted, framed=framed),
            "cache-control": "private, no-cache" if private else "no-cache",
            "vary": "Accept-Encoding, Cookie" if private else "Accept-Encoding",
        }
        if etag:
            headers["etag"] = etag
        return headers

    def _etag(self, key: str) -> str | None:
        edition = self._feed.edition
        if edition is None:
            return None
        settled = self._settled
        maker = f"{self._assets.build} {settled.audience} {settled.base} {settled.dashboards}"
        digest = hashlib.sha256(f"{edition} {maker} {key}".encode()).hexdigest()
        return f'W/"{edition.evidence_sequence}-{digest[:20]}"'


def _window(query: Mapping[str, str], windows: tuple[int, ...]) -> int:
    """Return the window of an address, 0 (the policy's default) where the register does not have it."""
    text = query.get("window", "")
    return int(text) if text.isascii() and text.isdigit() and int(text) in windows else 0
