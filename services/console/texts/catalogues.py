"""Reads the catalogues of messages: English is the source, in the code; the others are PO files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

CATALOGUES = Path(__file__).parents[1] / "catalogues"
"""The folder of the PO files, one per language, named after it."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language of the pages: its code in addresses, its own name, and its direction."""

    code: str
    name: str
    direction: str

    @property
    def mirrored(self) -> bool:
        """Whether it is read from right to left."""
        return self.direction == "rtl"


LANGUAGES = {
    "en": Language("en", "English", "ltr"),
    "fa": Language("fa", "فارسی", "rtl"),
}
"""The languages by code; a reader whose browser asks for none of them gets the first."""


@cache
def translations_of(code: str) -> NullTranslations:
    """Return the messages of a language; those of English are the texts in the code."""
    path = CATALOGUES / f"{code}.po"
    if not path.exists():
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=code))
    compiled.seek(0)
    return Translations(compiled)
