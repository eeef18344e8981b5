"""The Shell, Python and SQL blocks of the pages in Markdown."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from textwrap import dedent

from tests.support.paths import ROOT

__all__ = ["Block", "block", "blocks", "pages"]

_PART = re.compile(
    r"^#+ (?P<heading>[^\n]*)$|^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One block: its name (page, heading, number below the heading), its language, and its text without indent."""

    name: str
    language: str
    text: str

    @property
    def runs(self) -> bool:
        """Whether it is Shell, Python or SQL, or has no language and begins like a command."""
        commands = not self.language and self.text.startswith(("make ", "$ "))
        return commands or self.language in ("bash", "sh", "shell", "python", "sql")


def pages() -> list[str]:
    """Return every page of the root and of docs/, relative to the repository's root."""
    return sorted([page.name for page in ROOT.glob("*.md")] + [f"docs/{page.name}" for page in ROOT.glob("docs/*.md")])


def blocks(page: str) -> list[Block]:
    """Return the Shell, Python and SQL blocks of a page, in order."""
    found, heading, numbers = [], "", Counter[str]()
    for part in _PART.finditer((ROOT / page).read_text("utf-8")):
        if part["heading"] is not None:
            heading = part["heading"]
            continue
        one = Block(f"{page}: {heading} {numbers[heading] + 1}", part["language"], dedent(part["body"]))
        if one.runs:
            numbers[heading] += 1
            found.append(one)
    return found


def block(name: str) -> Block:
    """Return the block of this name."""
    (found,) = [one for one in blocks(name.partition(":")[0]) if one.name == name]
    return found
