"""Makes the reference pages of ``make docs``: metrics, settings, map of modules, crosswalk to other frameworks."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from services.core.metrics import TABLE, Metric
from services.core.settings import METRICS_PORTS, Settings, environment_variable, owners_of

_MADE = "<!-- Made from services/core/{source} by `make docs`; edits here are lost. -->"
_CROSSWALK = Path(__file__).parents[2] / "docs/crosswalk.yaml"
_COMPUTED = {"prober": "the host's name", "metrics": "see below"}
"""Defaults that are not the same everywhere."""

_HEAD = """# Map of the code

<!-- Made from the docstrings of services/ by `make docs`; edits here are lost. -->

Every module with the first paragraph of its docstring, by package and sub-package. [ARCHITECTURE.md](../ARCHITECTURE.md) explains
how the packages work together.
"""

_CROSSWALK_HEAD = """# Beside other frameworks

<!-- Made from docs/crosswalk.yaml by `make docs`; edits here are lost. -->

Several frameworks ask governments for figures. For each framework, this page lists the figures of Peyvand that answer its questions,
and the questions that cannot be answered. No score of a framework is computed here. Figures are fields of [the api](api.md), by
message and name; [method](method.md) explains them. The questions are in our words: the framework itself is the source.
"""


def metrics_page(table: Mapping[str, Metric]) -> str:
    """Return docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        _MADE.format(source="metrics/table.py"),
        "",
        "Each component serves its metrics on /metrics, at the address in its [settings](settings.md). Counters exist",
        "from the start, at zero. Gauges are absent until their value is known. *Series* is the number of series that one",
        "process exposes. Series per target are exposed by probers with fewer than 2,000 targets. Other probers expose",
        "them for up to 1,000 targets whose certificate has expired or expires within 30 days. *Unit* is the unit of a",
        "value: a ratio is of 1, a flag is 0 or 1, and a count counts what the meaning names. Histograms are in seconds.",
    ]
    for component in dict.fromkeys(row.component for row in table.values()):
        lines += ["", f"## {component}", *_table(("name", "type", "unit", "labels", "series", "meaning"))]
        lines += [
            _row(f"`{row.name}`", row.type, row.unit, _labels(row), _series(row), row.help)
            for row in table.values()
            if row.component == component
        ]
    return "\n".join([*lines, ""])


def _labels(row: Metric) -> str:
    return " ".join(f"`{label}`" for label in row.labels)


def _series(row: Metric) -> str:
    if not row.buckets:
        return row.series
    _, slash, each = row.series.partition("/")
    return f"{len(row.buckets) + 3}{slash}{each}"  # its buckets, the open one, sum and count


def settings_page() -> str:
    """Return docs/settings.md."""
    lines = [
        "# Settings",
        "",
        _MADE.format(source="settings.py"),
        "",
        "A component reads its settings from flags, from `PEYVAND_*` variables, and from a YAML file of `name: value`",
        "lines, which `--settings FILE` or `PEYVAND_SETTINGS` names. A flag takes precedence over a variable, and a",
        "variable over the file. A component accepts every setting, and ignores those for other components.",
        *_table(("name", "for", "flag", "variable", "default", "meaning")),
        *_settings_rows(),
        "",
        "By default, `metrics` is on loopback, with a port for each component:",
        *_table(("component", "default")),
        *(_row(component, f"127.0.0.1:{port}") for component, port in METRICS_PORTS.items()),
        "",
        "`peyvand up` sets the settings of its components; `peyvand up --help` lists its own options.",
    ]
    return "\n".join([*lines, ""])


def _settings_rows() -> Iterator[str]:
    for setting in fields(Settings):
        name, description = setting.name, setting.metadata["help"]
        owner, _, meaning = description.partition(": ")
        if not owners_of(name):
            owner, meaning = "all", description
        flag, environment = f"`--{name.replace('_', '-')}`", f"`{environment_variable(name)}`"
        default = _COMPUTED.get(name) or (f"`{setting.default}`" if str(setting.default) else "none")
        yield _row(f"`{name}`", owner, flag, environment, default, meaning)


def _table(columns: Iterable[str]) -> list[str]:
    """Return the head of a table, after the empty line it needs."""
    names = list(columns)
    return ["", _row(*names), _row(*("---" for _ in names))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


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
    yield _first_paragraph(package / "__init__.py")
    yield ""
    modules = [path for path in sorted(package.glob("*.py")) if path.name != "__init__.py"]
    if modules:
        yield "| module | what it holds |"
        yield "|---|---|"
        yield from (f"| `{path.name}` | {_first_paragraph(path)} |" for path in modules)
        yield ""


def _first_paragraph(module: Path) -> str:
    text = ast.get_docstring(ast.parse(module.read_text("utf-8")))
    if not text:
        raise ValueError(f"{module} has no docstring; its first paragraph belongs in docs/map.md")
    return text.split("\n\n")[0].replace("\n", " ").replace("``", "`").replace("|", "\\|")


def crosswalk_page(frameworks: Iterable[Mapping[str, Any]]) -> str:
    """Return docs/crosswalk.md for the table of docs/crosswalk.yaml."""
    lines = [_CROSSWALK_HEAD]
    for framework in frameworks:
        indicators = framework["indicators"]
        lines += [
            f"## {framework['framework']}",
            f"[{framework['edition']}]({framework['source']}). {framework['about'].strip()}",
        ]
        lines += _table(("asked", "figures", "how far"))
        for row in indicators:
            if "fields" in row:
                lines.append(_row(row["asks"], " ".join(f"`{field}`" for field in row["fields"]), row["how"]))
        lines += _table(("asked, but cannot be answered", "why"))
        lines += [_row(row["asks"], row["how"]) for row in indicators if "fields" not in row] + [""]
    return "\n".join(lines)


PAGES: Mapping[str, Callable[[], str]] = {
    "metrics.md": lambda: metrics_page(TABLE),
    "settings.md": settings_page,
    "map.md": lambda: map_page(Path(__file__).parents[1]),
    "crosswalk.md": lambda: crosswalk_page(yaml.safe_load(_CROSSWALK.read_text("utf-8"))),
}
"""The function that returns the content of each page, by the page's name under docs/."""


if __name__ == "__main__":
    for name, page in PAGES.items():
        (Path(sys.argv[1]) / name).write_text(page(), "utf-8")
