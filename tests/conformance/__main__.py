"""Run the conformance suite and print both verdicts of every case side by side, then any failures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conformance.suite import CASES
from tests.conformance.table import table, verdicts

_HERE = Path(__file__).parent


class _Reports:
    """Keeps what the tests report."""

    def __init__(self) -> None:
        self.kept: list[pytest.TestReport] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.kept.append(report)


def main() -> int:
    """Run the suite silently, print its table, then its failures; return pytest's exit status."""
    reports = _Reports()
    arguments = sys.argv[1:] or [str(_HERE)]
    status = pytest.main(["-p", "no:terminalreporter", *arguments], plugins=[reports])
    for line in table(CASES, verdicts(report.user_properties for report in reports.kept)):
        print(line)  # noqa: T201 - a person reads this
    for report in reports.kept:
        if report.failed:
            print(f"\n{report.nodeid}\n{report.longreprtext}", file=sys.stderr)  # noqa: T201
    skipped = {report.longrepr[2] for report in reports.kept if report.skipped and isinstance(report.longrepr, tuple)}
    for reason in skipped:
        print(reason, file=sys.stderr)  # noqa: T201
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
