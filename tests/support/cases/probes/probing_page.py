"""The examples of docs/probing.md. Not a test."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from tests.support.paths import ROOT

__all__ = ["EXAMPLES", "PAGE", "Example", "examples"]

PAGE = (ROOT / "docs" / "probing.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Example:
    """One YAML block of the page: its definitions, their target and its parameters."""

    text: str
    target: str
    params: str

    @property
    def definitions(self) -> dict[str, dict[str, object]]:
        return yaml.safe_load(self.text)


def examples() -> list[Example]:
    found = []
    for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        target = re.search(r"^# target: (.*)$", block, re.MULTILINE)
        params = re.search(r"^# params: (.*)$", block, re.MULTILINE)
        assert target is not None, block
        found.append(Example(block, target[1], params[1] if params else ""))
    return found


EXAMPLES = examples()
