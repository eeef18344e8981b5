"""Everything that a make target runs exists and can be imported, so that it starts on a fresh clone."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.waiting import DEADLINE

TEXT = (ROOT / "Makefile").read_text("utf-8")
MODULES = sorted(set(re.findall(r"\$\(BIN\)/python -m ([\w.]+)", TEXT)))
PROGRAMS = sorted(set(re.findall(r"\$\(BIN\)/([\w-]+)", TEXT)) - {"python"})


@pytest.mark.parametrize("module", MODULES)
def test_the_module_of_a_target_can_be_imported(module: str) -> None:
    """All its imports are in the locked packages or the repository."""
    found = find_spec(module)
    assert found is not None
    importlib.import_module(f"{module}.__main__" if found.submodule_search_locations else module)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_program_of_a_target_is_installed(program: str) -> None:
    """The program lies beside the running Python, where `make setup-dev` puts it."""
    assert (Path(sys.executable).parent / program).exists()


def test_what_builds_the_package_is_locked() -> None:
    """The packages that build the project are locked, so `make setup` needs only a folder of locked packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    names = {re.split(r"[^\w-]", requirement)[0] for requirement in project["build-system"]["requires"]}
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE))
    assert names <= locked


@pytest.mark.parametrize(("module", "file"), [("conformance", "test_conformance"), ("security", "test_full_disk")])
def test_a_target_that_runs_tests_starts(module: str, file: str) -> None:
    """A file of its tests is collected with the installed plug-ins and without a terminal's reporter."""
    path = ROOT / "tests" / module / f"{file}.py"
    command = [sys.executable, "-m", f"tests.{module}", "--collect-only", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
