"""Make every attack of this folder on running processes and public boundaries, and print how each ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.security.table import Attempt, Table
from tests.support.paths import ROOT


class _Reporter:
    """Shows attempts as they end."""

    def __init__(self) -> None:
        self.table = Table()
        self.items: dict[str, pytest.Item] = {}

    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        """Keep the tests, since reports have only their names."""
        self.items = {item.nodeid: item for item in items}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Show a file that cannot be imported."""
        if report.failed:
            _show([f"{report.nodeid} was not tried:", report.longreprtext])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Show an attempt when it was made, or when it could not be made."""
        if report.when == "call" or report.outcome != "passed":
            _show(self.table.add(_attempt(self.items[report.nodeid], report)))


def _attempt(item: pytest.Item, report: pytest.TestReport) -> Attempt:
    test = getattr(item, "function", None)
    callspec = getattr(item, "callspec", None)
    module = getattr(item, "module", None)
    return Attempt(
        file=item.path.name,
        about=_first_paragraph(getattr(module, "__doc__", None)),
        attack=getattr(item, "originalname", item.name).removeprefix("test_").replace("_", " "),
        who="" if callspec is None else callspec.id,
        expected=_first_paragraph(getattr(test, "__doc__", None)),
        verdict={"passed": "held", "failed": "broke"}.get(report.outcome, "not tried"),
        happened=_happened(report),
    )


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())


def _happened(report: pytest.TestReport) -> str:
    """Return what happened instead of what was expected, in one line."""
    if report.passed:
        return ""
    if isinstance(report.longrepr, tuple):  # file, line and reason of a skipped test
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return " ".join(str(report.longreprtext if crash is None else crash.message).split())


def _show(lines: Sequence[str]) -> None:
    for line in lines:
        print(line, flush=True)  # noqa: T201 - a person reads this


def main() -> int:
    """Make every attempt, those of slow tests too; return pytest's exit status."""
    reporter = _Reporter()
    arguments = sys.argv[1:] or [str(Path(__file__).parent)]
    options = ["-c", str(ROOT / "pyproject.toml"), "-p", "no:terminalreporter", "-p", "no:cacheprovider"]
    status = pytest.main([*options, *arguments], plugins=[reporter])
    _show(reporter.table.summary())
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
