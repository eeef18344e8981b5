"""Writes each dashboard as FOLDER/NAME.json, by ``python -m deploy.dashboards FOLDER``. Wiring only."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.dashboards.catalogue import DASHBOARDS, rendered

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Write every dashboard."""
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name in DASHBOARDS:
        (folder / f"{name}.json").write_text(rendered(name), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
