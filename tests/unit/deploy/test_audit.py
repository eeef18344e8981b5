"""`make audit` passes only if a database was asked about every pinned package and knows no vulnerability."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.waiting import DEADLINE

_SOUND = {"name": "attrs", "version": "26.1.0", "vulns": []}
_VULNERABLE = {
    "name": "h2",
    "version": "4.3.0",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["4.3.1", "4.4.0"], "aliases": [], "description": "Long."}],
}
_UNKNOWN = {"name": "orjson", "skip_reason": "Dependency not found on PyPI and could not be audited: orjson (3.11.0)"}


def _audit(folder: Path, answer: str, *, error: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    """Audit with a pip-audit that writes this answer. pip-audit itself is not among the locked packages."""
    stand_in = folder / "pip-audit"
    (folder / "answer").write_text(answer, "utf-8")
    (folder / "error").write_text(error, "utf-8")
    stand_in.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/arguments\ncat {folder}/answer\ncat {folder}/error >&2\nexit {code}\n',
        "utf-8",
    )
    stand_in.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "deploy.audit", "requirements-dev.lock", "--vulnerability-service", "osv"]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


@pytest.mark.parametrize(
    ("dependencies", "code", "printed"),
    [
        ([_SOUND], 0, "no vulnerability of 1 package is known\n"),
        ([_SOUND, _VULNERABLE], 1, "h2 4.3.0: PYSEC-2026-1, fixed in 4.3.1 or 4.4.0\n"),
        ([_SOUND, _UNKNOWN], 1, "the database does not know 1 of 2 packages (orjson), so nothing is known of"),
    ],
)
def test_an_audit_that_asked_nobody_does_not_pass(
    tmp_path: Path, dependencies: list[dict[str, Any]], code: int, printed: str
) -> None:
    """A vulnerability fails the audit, and so does a package that the database does not know."""
    done = _audit(tmp_path, json.dumps({"dependencies": dependencies, "fixes": []}))
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith(printed)
    arguments = (tmp_path / "arguments").read_text("utf-8").splitlines()
    assert arguments[-4:] == ["--requirement", "requirements-dev.lock", "--vulnerability-service", "osv"]


def test_without_a_database_one_sentence_says_so(tmp_path: Path) -> None:
    """A traceback of pip-audit becomes its last line."""
    done = _audit(tmp_path, "", error="Traceback (most recent call last):\n  …\nConnectionError: no route\n", code=1)
    assert done.returncode == 1
    assert done.stderr == "no database of vulnerabilities was asked: ConnectionError: no route\n"


def test_without_the_program_one_sentence_says_so(tmp_path: Path) -> None:
    """pip-audit is not locked, because an old one would ask an old database."""
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "deploy.audit", "requirements-dev.lock"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "pip-audit is not on the PATH: install it (pipx install pip-audit)\n"
