"""An HTTP client for one security server, with a deadline, a limit on the answer's size, and mTLS if configured."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from services.collector.config import XroadSource
from services.collector.records import FaultError, ServerAnswerError, read_envelope
from services.core.network import trusting

LARGEST_ANSWER: Final = 16 << 20
"""The most bytes of an answer, whose records are compressed: ten times the size of 10,000 records."""

_CONNECT_SECONDS: Final = 10.0


class SourceError(Exception):
    """A failed request to a source. The message is for a person, and quotes no content.

    ``failure`` is one of FAILURES. ``code`` is that of the SOAP fault, if there was one.
    """

    def __init__(self, failure: str, message: str, code: str = "") -> None:
        self.failure, self.code = failure, code
        super().__init__(message)

    @classmethod
    def of(cls, error: Exception) -> SourceError:
        """Return the error for an answer that is a fault, or that cannot be used."""
        if isinstance(error, FaultError):
            return cls("fault", str(error), error.code)
        return cls("unreadable", str(error))


class SecurityServerClient(AbstractAsyncContextManager["SecurityServerClient"]):
    """Sends requests to one server, over connections that are reused until ``close``, with the certificates of then."""

    def __init__(self, source: XroadSource) -> None:
        self._source = source
        self._client: httpx.AsyncClient | None = None

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. The next request opens others, and reads the certificates again."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def send(self, request: bytes, answered: Callable[[], Awaitable[object]] | None = None) -> bytes:
        """Send a SOAP request; return the raw answer. Raises SourceError.

        ``answered`` is awaited once an answer begins, before its body is read. That time is not the server's.
        """
        try:
            async with asyncio.timeout(self._source.timeout) as limit:
                return await self._send(request, limit, answered)
        except httpx.ConnectTimeout:
            failure = SourceError("timeout", "no connection to it was made in time")
        except (TimeoutError, httpx.TimeoutException):
            failure = SourceError("timeout", f"it did not answer within {self._source.timeout:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            # UnicodeError: httpx reads the location of a redirect, whose host may not be a valid name.
            failure = _translated(error)
        raise failure

    async def _send(
        self, request: bytes, limit: asyncio.Timeout, answered: Callable[[], Awaitable[object]] | None
    ) -> bytes:
        if self._client is None:
            self._client = await asyncio.to_thread(_client, self._source)
        # httpx would decompress a body without a limit. The records in it are gzipped anyway.
        headers = {"Content-Type": "text/xml; charset=UTF-8", "Accept-Encoding": "identity"}
        extensions = {"sni_hostname": self._source.server_name} if self._source.server_name else {}
        async with self._client.stream(
            "POST", self._source.url, content=request, headers=headers, extensions=extensions
        ) as answer:
            if answered is not None:
                now = asyncio.get_running_loop().time
                left = (limit.when() or now()) - now()
                limit.reschedule(None)
                await answered()
                limit.reschedule(now() + left)
            body = await self._body(answer)
        _check(answer, body)
        return body

    async def _body(self, answer: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in answer.aiter_raw():
            body += chunk
            if len(body) > LARGEST_ANSWER:
                raise SourceError("too_large", f"its answer is larger than {LARGEST_ANSWER} bytes")
        return bytes(body)


def _check(answer: httpx.Response, body: bytes) -> None:
    """Raise SourceError for an answer that cannot hold records. A SOAP fault is recognised with any status."""
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise SourceError("unreadable", "its answer is compressed, which was not requested")
    if (code := answer.headers.get("x-road-error")) is not None:
        raise SourceError.of(FaultError(code))
    if answer.status_code != 200:
        try:
            read_envelope(body)
        except FaultError as fault:
            raise SourceError.of(fault) from None
        except ServerAnswerError:
            pass
        raise SourceError("status", f"it answered with HTTP status {answer.status_code}")


def _client(source: XroadSource) -> httpx.AsyncClient:
    """Return a client.

    Call this in a thread, since reading the system's authorities takes a while. Raises SourceError.
    """
    try:
        context = trusting(source.authority)
        if source.certificate is not None and source.key is not None:
            # Without a password OpenSSL would prompt for one on the terminal.
            context.load_cert_chain(source.certificate, source.key, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        raise SourceError("tls", "the authority, our certificate or its key cannot be used") from error
    timeout = httpx.Timeout(source.timeout, connect=min(source.timeout, _CONNECT_SECONDS))
    # A request needs no cookies, and a server could set new ones without end.
    cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(verify=context, trust_env=False, timeout=timeout, follow_redirects=False, cookies=cookies)


def _translated(error: Exception) -> SourceError:
    """Return the error by its kind alone: an exception's text may hold what the server sent."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return SourceError("tls", f"its certificate cannot be trusted: {cause.verify_message}")
        if isinstance(cause, ssl.SSLError):
            return SourceError("tls", f"TLS with it failed: {cause.reason or 'no reason given'}")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError | OSError):
        return SourceError("transport", "no connection to it can be made")
    return SourceError("transport", f"the connection broke: {type(error).__name__}")
