"""The words of a page of the console. Not a test."""

from __future__ import annotations

import re

from tests.support.console.case import Console

__all__ = ["TAGS", "text_of"]

TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]+>", re.DOTALL)


async def text_of(console: Console, path: str) -> str:
    """Return the words of a page, one space apart."""
    return " ".join(TAGS.sub(" ", (await console.get(path)).text).split())
