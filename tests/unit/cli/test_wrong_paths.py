"""Paths that hold nothing, or something else, each give one sentence that says what is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.command_line import app
from services.core.bus.roles import write_users
from services.core.errors import InputError, PeyvandError
from tests.support.cases.datasets.rows import sealed_example
from tests.support.registers import write_register

_NO_DATASET = "the dataset {} cannot be read: {}; name the folder that has log/ and sealed/"
_READS_A_DATASET = {
    "score": ("score", "--archive", "{}"),
    "verify": ("archive", "verify", "{}"),
    "prove": ("archive", "prove", "2026-09-21", "{}"),
    "witness": ("archive", "witness", "{}", "--key", "{key}", "--sign", "{signs}", "--seen", "{work}/seen"),
    "change-key": ("archive", "change-key", "{}", "--sign", "{signer}", "--new-key", "{next_signer}"),
    "export": ("opendata", "export", "{work}/out", "--archive", "{}"),
    "freeze": (
        *("round", "freeze", "one", "--from", "2026-09-21", "--to", "2026-09-22", "--archive", "{}"),
        *("--sign", "{signer}", "--register", "{register}", "--out", "{work}/out"),
    ),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return paths by what is there."""
    work = tmp_path_factory.mktemp("paths")
    contents = {"file": b"hello\n", "empty": b"", "binary": b"\x88\x00\xff"}
    for name, content in contents.items():
        (work / name).write_bytes(content)
    (work / "folder").mkdir()
    write_users(work / "seeds")
    names = ("file", "empty", "binary", "folder", "seeds", "nothing", "register")
    write_register(work / "register")
    return {"work": str(work), **{name: str(work / name) for name in names}, **sealed_example(work)}


def _sentences(*words: str) -> list[str]:
    """Return what a command that fails says on stderr, line by line."""
    result = CliRunner(env={"NO_COLOR": "1", "TERM": "dumb"}).invoke(app, words)
    error = result.exception
    if isinstance(error, PeyvandError):
        return (error.report() if isinstance(error, InputError) else str(error)).splitlines()
    assert isinstance(error, SystemExit), (words, error)
    assert result.exit_code
    return result.stderr.splitlines()


@pytest.mark.parametrize("command", _READS_A_DATASET)
@pytest.mark.parametrize(("place", "reason"), [("nothing", "No such file or directory"), ("file", "Not a directory")])
def test_what_is_no_dataset_is_not_called_one_that_lacks_something(
    command: str, place: str, reason: str, places: dict[str, str]
) -> None:
    """A mistyped address of a dataset is the fault, and not that the dataset is damaged, unsealed or without numbers."""
    words = [word.format(places[place], **places) for word in _READS_A_DATASET[command]]
    assert _sentences(*words) == [_NO_DATASET.format(places[place], reason)]


@pytest.mark.parametrize("place", ["nothing", "file", "folder"])
def test_what_is_no_backup_is_refused_before_a_bus_is_asked(place: str, places: dict[str, str]) -> None:
    """Nothing is wrong with the bus or its credentials, so neither is named."""
    sentence = f"{places[place]} holds no backup: name the folder that `peyvand bus backup` wrote"
    assert _sentences("bus", "restore", places[place], "--credentials", places["seeds"]) == [sentence]


@pytest.mark.parametrize(
    ("place", "reason"),
    [("nothing", "there is no such directory"), ("file", "it is no directory: name the one that holds policy.yaml")],
)
def test_a_file_in_place_of_a_register_is_called_no_directory(place: str, reason: str, places: dict[str, str]) -> None:
    """A file is there, so nobody says that there is none."""
    first, _ = _sentences("register", "check", places[place])
    assert first == f"{places[place]}: {reason}"
