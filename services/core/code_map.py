"""docs/map.md: every module of services/ with the first line of its docstring (``make docs``)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_HEAD = """# Map of the code

<!-- Made from the docstrings of services/ by `make docs`; edits here are lost. -->

Every module with the first sentence of its docstring, by package and sub-package. [ARCHITECTURE.md](../ARCHITECTURE.md) explains
how the packages work together.
"""


def map_page(services: Path) -> str:
    """Return docs/map.md for the packages below a folder. Raises ValueError for a module without a docstring."""
    return "\n".join([_HEAD, *(line for package in _packages(services) for line in _lines(services, package))])


def _packages(folder: Path) -> Iterator[Path]:
    for package in sorted(path.parent for path in folder.glob("*/__init__.py")):
        yield package
        yield from sorted(path.parent for path in package.glob("*/__init__.py"))


def _lines(services: Path, package: Path) -> Iterator[str]:
    name = package.relative_to(services)
    yield f"{'##' if name.parent == Path() else '###'} {name}"
    yield ""
    yield _first_line(package / "__init__.py")
    yield ""
    modules = [path for path in sorted(package.glob("*.py")) if path.name != "__init__.py"]
    if modules:
        yield "| module | what it holds |"
        yield "|---|---|"
        yield from (f"| `{path.name}` | {_first_line(path)} |" for path in modules)
        yield ""


def _first_line(module: Path) -> str:
    text = ast.get_docstring(ast.parse(module.read_text("utf-8")))
    if not text:
        raise ValueError(f"{module} has no docstring; its first line belongs in docs/map.md")
    return text.split("\n\n")[0].replace("\n", " ").replace("``", "`").replace("|", "\\|")
