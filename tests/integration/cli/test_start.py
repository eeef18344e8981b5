"""``peyvand`` imports little before a command runs, so that help does not keep people waiting."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from peyvand.v1 import indicator_service_pb2
from services.cli.command_line import app
from services.cli.commands.options import KINDS
from services.cli.commands.register import IMPORTED
from services.cli.commands.structure import ATTRIBUTES
from services.cli.components import COMPONENTS
from services.core.model import IndicatorKind
from services.register.discovery import IMPORTERS
from tests.support.waiting import DEADLINE

HEAVY = {
    "asyncio",
    "google.protobuf",
    "grpc",
    "httpx",
    "nats",
    "numpy",
    "peyvand",
    "prometheus_client",
    "pydantic",
    "rich",
    "scipy",
    "structlog",
    "yaml",
}

RUN = """
import json, os, sys
from services.cli.__main__ import main
folder, commands = sys.argv[1:]
for number, words in enumerate(json.loads(commands)):
    if os.fork():
        if os.wait()[1]:
            sys.exit(f"{words} --help failed")
        continue
    os.dup2(os.open(f"{folder}/{number}.help", os.O_CREAT | os.O_WRONLY), 1)
    sys.argv[1:] = [*words, "--help"]
    try:
        main()
    finally:
        with open(f"{folder}/{number}.modules", "w") as file:
            print(*sys.modules, file=file)
    break
"""
"""Runs each command with --help in a fork of an interpreter that has imported what each of them needs to begin."""

COMMANDS: dict[str, Any] = getattr(typer.main.get_command(app), "commands", {})
HELP = [[], *([name] for name in COMMANDS)]
HELP += [[name, sub] for name, group in COMMANDS.items() for sub in getattr(group, "commands", ())]


@pytest.fixture(scope="module")
def helps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the help of each command by its number, and the modules that were loaded when it ended."""
    folder = tmp_path_factory.mktemp("helps")
    subprocess.run([sys.executable, "-c", RUN, folder, json.dumps(HELP)], timeout=DEADLINE, check=True)
    return folder


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_help_imports_nothing_heavy(words: list[str], helps: Path) -> None:
    """The help of every command is printed without the packages that its work needs, in 80 columns."""
    shown, loaded = ((helps / f"{HELP.index(words)}.{what}").read_text("utf-8") for what in ("help", "modules"))
    assert "Usage: peyvand" in shown
    assert max(map(len, shown.splitlines())) <= 80
    commands = shown.partition("Commands:")[2]
    assert "..." not in commands  # no command's summary is cut
    assert not HEAVY & set(loaded.split())


def test_help_words_are_those_of_the_code() -> None:
    """The words that help lists without importing the code are those of the code."""
    assert tuple(kind.label for kind in IndicatorKind) == KINDS
    assert tuple(IMPORTERS) == IMPORTED
    names = [name for name, number in indicator_service_pb2.TabulatedAttribute.items() if number]
    assert sorted(ATTRIBUTES) == sorted(name.removeprefix("TABULATED_ATTRIBUTE_").lower() for name in names)


def test_the_version_is_the_installed_one() -> None:
    """--version prints the version of the package, and nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"{version('peyvand')}\n"


def test_a_component_reads_its_own_flags() -> None:
    """`peyvand prober --help` is the prober's help, with its settings."""
    assert "prober" in COMPONENTS
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "prober", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "--spool-limit" in done.stdout


def test_a_misspelt_command_of_the_archive_is_named() -> None:
    """`peyvand archive verfy DATASET` names the command that does not exist, not the flags of the component."""
    command = [sys.executable, "-m", "services.cli", "archive", "verfy", "dataset"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "No such command 'verfy'" in done.stderr
    assert "--oidc" not in done.stderr


@pytest.mark.parametrize("component", ["prober", "collector", "scorer", "archive", "api"])
def test_components_load_nothing_that_they_have_no_use_for(component: str) -> None:
    """No component loads nats-py's package for WebSockets, structlog's for tracebacks, or scipy before a formula needs it.

    Only the api loads grpc, only the prober what reads probe definitions, and only prober and collector what reads URLs
    and YAML.
    """
    load = (
        f"import sys, services.{component}.component\n"
        f"from services.core.log import configure_logging\nconfigure_logging('{component}', 'info')\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True, timeout=60, check=True)
    used = {
        "prober": {"jsonschema", "jsonpath_rfc9535", "services.register.probes", "dns.name", "httpx._urls", "yaml"},
        "collector": {"dns.name", "httpx._urls", "yaml"},
        "api": {"grpc"},
    }
    useless = {"aiohttp", "rich", "scipy", *set().union(*used.values())} - used.get(component, set())
    assert not useless & set(done.stdout.split())


@pytest.mark.parametrize(
    ("imported", "words", "code"),
    [
        ("typer", ["--help"], -signal.SIGINT),
        ("uvloop", ["prober", "--help"], -signal.SIGINT),
        ("numpy", ["findings", "counts.csv"], 128 + signal.SIGINT),
    ],
    ids=["first", "component", "command"],
)
def test_an_interrupt_is_quiet_while_python_imports(imported: str, words: list[str], code: int, tmp_path: Path) -> None:
    """Ctrl-C prints no traceback, whether it comes before a command runs, before a component does, or in a command."""
    (tmp_path / f"{imported}.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n", "utf-8")
    (tmp_path / "counts.csv").write_text("time,name,count\n", "utf-8")
    python_path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", "from services.cli.__main__ import main; main()", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": python_path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")
