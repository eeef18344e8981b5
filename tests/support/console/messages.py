"""Collect the messages in the console's code, and bring its catalogues up to date with them.

`python -m tests.support.console.messages` adds missing messages to each catalogue, untranslated, and removes unused ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_python
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from services.console.pages.datasets import DATASETS
from services.console.texts.catalogues import CATALOGUES, LANGUAGES
from services.console.texts.texts import UNITS
from services.console.texts.words import WORDS
from tests.support.paths import ROOT

__all__ = ["Message", "catalogue", "messages"]

Message = str | tuple[str, str]

_CONSOLE = ROOT / "services" / "console"
_TEMPLATES: Any = {"t": None, "n": (1, 2)}
_PYTHON: Any = {"message": None, "count": (1, 2)}


def _found(path: Path) -> Iterator[tuple[str, Message]]:
    with path.open("rb") as file:
        rows: Iterable[Any] = (
            babel_extract(file, _TEMPLATES, [], {"silent": "false"})
            if path.suffix == ".html"
            else extract_python(file, _PYTHON, [], {})
        )
        for _, function, found, _ in rows:
            if function in ("n", "count"):
                assert isinstance(found, tuple)
                if isinstance(found[0], str) and isinstance(found[1], str):
                    yield path.name, (found[0], found[1])
            else:
                text = found[0] if isinstance(found, tuple) else found
                if isinstance(text, str) and text:
                    yield path.name, text


@cache
def messages() -> dict[Message, list[str]]:
    """Return every message of templates, code and vocabularies with its places. One with a plural is a pair."""
    said: dict[Message, list[str]] = {}
    paths = [*sorted(_CONSOLE.glob("templates/*.html")), *sorted(_CONSOLE.glob("*/*.py"))]
    for path in paths:
        for name, message in _found(path):
            said.setdefault(message, []).append(name)
    for vocabulary, words in WORDS.items():
        for word in words.values():
            said.setdefault(word, []).append(vocabulary)
    for dataset in DATASETS:
        said.setdefault(dataset.about, []).append("datasets")
    for _, one, many in UNITS:
        said.setdefault((one, many), []).append("units")
    return said


def catalogue(code: str) -> Catalog:
    """Return the catalogue of a language."""
    with (CATALOGUES / f"{code}.po").open("rb") as file:
        return read_po(file, locale=code)


def _main() -> None:
    said = messages()
    for code in LANGUAGES:
        path = CATALOGUES / f"{code}.po"
        if code == "en":
            continue
        before = catalogue(code) if path.exists() else Catalog(locale=code)
        after = Catalog(locale=code, fuzzy=False, charset="utf-8")
        for message in said:
            old = before.get(message if isinstance(message, str) else message[0])
            after.add(message, old.string if old is not None else None)
        head = path.read_bytes().partition(b"\n\n")[0] if path.exists() else b'msgid ""\nmsgstr ""'
        with path.open("wb") as file:
            file.write(head + b"\n\n")
            write_po(file, after, width=0, sort_output=False, omit_header=True)


if __name__ == "__main__":
    _main()
