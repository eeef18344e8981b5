"""Defines the pages that are the same for everybody at any time: the method, accessibility, and signing in."""

from __future__ import annotations

from services.console.pages.page import Page, Visit


async def gather(visit: Visit) -> None:
    """Fetch nothing."""


PAGES = (
    Page("method", "/method", gather),
    Page("sign-in", "/sign-in", gather),
    Page("accessibility", "/accessibility", gather),
)
