"""Writes the bill of materials of the image, by ``python -m deploy.sbom LOCK PYPROJECT OUT``. Wiring only."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from deploy.sbom.packages import bill_of_materials

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Write the bill of materials."""
    lock, project, out = map(Path, arguments)
    version = tomllib.loads(project.read_text("utf-8"))["project"]["version"]
    out.write_text(bill_of_materials(lock.read_text("utf-8"), version), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
