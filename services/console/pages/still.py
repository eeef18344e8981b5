"""Pages that say the same to everybody at any time: the method, how accessible these pages are, signing in."""

from __future__ import annotations

from services.console.pages.page import Page, Visit


async def gather(visit: Visit) -> None:
    """Fetch nothing."""


PAGES = (
    Page("method", "/method", gather, has_window=False),
    Page("sign-in", "/sign-in", gather, has_window=False),
    Page("accessibility", "/accessibility", gather, has_window=False),
)
