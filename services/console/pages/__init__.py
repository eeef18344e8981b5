"""Holds one module per page: its address, what it fetches from the api, and the values that its template shows."""

from services.console.pages import (
    agencies,
    agency,
    badges,
    data,
    feeds,
    findings,
    government,
    link,
    matrix,
    monitor,
    news,
    pair,
    rounds,
    search,
    service,
    still,
    structure,
)
from services.console.pages.page import Content, File, NoSuchPageError, Page, Stream, Visit

PAGES: tuple[Page, ...] = (
    government.PAGE,
    agencies.PAGE,
    agency.PAGE,
    matrix.PAGE,
    pair.PAGE,
    service.PAGE,
    link.PAGE,
    structure.PAGE,
    rounds.PAGE,
    data.PAGE,
    findings.PAGE,
    monitor.PAGE,
    news.PAGE,
    search.PAGE,
    *still.PAGES,
)
"""Every page of the menu and below it, in no particular order."""

FILES: tuple[File, ...] = (*data.FILES, *feeds.FILES, *badges.FILES)
"""The files that are served as they are: data, feeds, badges."""

__all__ = ["FILES", "PAGES", "Content", "File", "NoSuchPageError", "Page", "Stream", "Visit"]
