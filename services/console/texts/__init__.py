"""Writes what a page says in one language: its messages, numbers, times and names."""

from services.console.texts.alphabet import alphabetical
from services.console.texts.catalogues import LANGUAGES, Language
from services.console.texts.escaping import escaped
from services.console.texts.markdown import write_markdown
from services.console.texts.moments import iso
from services.console.texts.rows import FIGURE_COLUMNS, VERSION_COLUMNS, Row, figure_row, version_row
from services.console.texts.texts import Texts, texts_of

__all__ = [
    "FIGURE_COLUMNS",
    "LANGUAGES",
    "VERSION_COLUMNS",
    "Language",
    "Row",
    "Texts",
    "alphabetical",
    "escaped",
    "figure_row",
    "iso",
    "texts_of",
    "version_row",
    "write_markdown",
]
