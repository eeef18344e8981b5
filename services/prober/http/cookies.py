"""Keeps the cookies that answers set in a jar, and adds the jar's and a definition's own cookies to requests.

The jar decides where cookies are sent, by the rules of browsers.
"""

from __future__ import annotations

import httpx

from services.prober.http.content_coding import decode_headers
from services.prober.http.http_connection import HttpConnection


def keep_cookies(jar: httpx.Cookies, answer: HttpConnection, request: httpx.Request) -> None:
    """Put the cookies that the answer to a request sets into the jar."""
    fields = [header for header in answer.headers if header[0].lower() == b"set-cookie"]
    if fields:
        # httpx reads all headers of a response in one encoding, which it guesses.
        headers = [(name.encode(), value.encode()) for name, value in decode_headers(fields)]
        jar.extract_cookies(httpx.Response(answer.status, headers=headers, request=request))


def add_cookies(jar: httpx.Cookies, request: httpx.Request, own: str) -> None:
    """Add the jar's cookies to a request, and a definition's own cookies, except where the jar has one of that name."""
    request.headers.encoding = "utf-8"  # httpx otherwise guesses it from the headers so far
    request.headers.pop("cookie", None)  # a jar does not add to an existing header
    jar.set_cookie_header(request)
    received = request.headers.get("cookie", "")
    names = {pair.partition("=")[0].strip() for pair in received.split(";")}
    pairs = [pair.strip() for pair in own.split(";") if pair.strip()]
    added = [pair for pair in pairs if pair.partition("=")[0].strip() not in names]
    if added:
        request.headers["Cookie"] = "; ".join([*added, received] if received else added)
