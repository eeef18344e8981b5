"""Chooses the language of a reader whose address names none."""

from __future__ import annotations

from starlette.requests import Request

from services.console.texts import LANGUAGES

COOKIE = "language"
"""Holds the language last chosen with the switch; apart from a sign-in, nothing else is remembered about readers."""


def language_of(request: Request) -> str:
    """Return the code of the language: the one chosen before, else the first that the browser asks for and we have."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    wanted: list[tuple[float, str]] = []
    for part in request.headers.get("accept-language", "").split(","):
        tag, _, weight = part.lower().partition(";")
        code = tag.strip().partition("-")[0]
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight else 1.0
        except ValueError:
            quality = 0.0
        if code in LANGUAGES and quality > 0:
            wanted.append((-quality, code))
    return min(wanted, key=lambda one: one[0])[1] if wanted else next(iter(LANGUAGES))
