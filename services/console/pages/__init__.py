"""Holds one module per page: its address, what it fetches from the api, and the values that its template shows."""

from services.console.pages import (
    agencies,
    agency,
    data,
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
    static_pages,
    structure,
)
from services.console.pages.news import AnnouncementView, announcements_of, maintenance_of
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
    *static_pages.PAGES,
)
"""Every page of the menu and below it, in no particular order."""

TABLES: tuple[File, ...] = data.FILES
"""Every figure as CSV and JSON."""

__all__ = [
    "PAGES",
    "TABLES",
    "AnnouncementView",
    "Content",
    "File",
    "NoSuchPageError",
    "Page",
    "Stream",
    "Visit",
    "announcements_of",
    "maintenance_of",
]
