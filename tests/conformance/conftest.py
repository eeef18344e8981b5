"""Provide one folder and one blackbox_exporter for all conformance cases, and print the table of verdicts."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.conformance.blackbox import Blackbox, find_blackbox, started
from tests.conformance.case import Place
from tests.conformance.secret import SECRET, VARIABLE
from tests.conformance.suite import CASES
from tests.conformance.table import table, verdicts
from tests.support.servers.authority import Authority


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The folder that files in definitions and modules are relative to, with an authority, bodies and the secret."""
    folder = tmp_path_factory.mktemp("conformance")
    authority = Authority.make(folder)
    (folder / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    (folder / "body.txt").write_bytes('{"نام":\r\n "علی"}\n'.encode())
    (folder / "latin.txt").write_bytes(b"caf\xe9")
    (folder / "secret.txt").write_text(f"{SECRET}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, SECRET)
        yield Place(folder, authority)


@pytest.fixture(scope="session")
def blackbox(place: Place) -> Iterator[Blackbox]:
    """A blackbox_exporter with the modules of all cases; without it cases are skipped, or fail under CI=true."""
    program = find_blackbox()
    if program is None:
        message = "blackbox_exporter is not installed (Debian's package is prometheus-blackbox-exporter)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with started(program, CASES, place.folder) as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print both verdicts of every case that ran, side by side."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    seen = verdicts(getattr(report, "user_properties", ()) for report in reports)
    if seen:
        terminalreporter.section("conformance with blackbox_exporter")
        for line in table(CASES, seen):
            terminalreporter.line(line)
