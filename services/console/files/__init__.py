"""Holds the files that are served as they are: feeds, badges, and the tables of data that a page lists."""

from services.console.files import badges, feeds
from services.console.pages import TABLES, File

FILES: tuple[File, ...] = (*TABLES, *feeds.FILES, *badges.FILES)

__all__ = ["FILES"]
