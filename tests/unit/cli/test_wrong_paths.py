"""Paths that hold nothing, or something else, each give one sentence that says what is there."""

from __future__ import annotations

from pathlib import Path
from shutil import copy, rmtree

import pytest
from typer.testing import CliRunner

from services.cli.command_line import app
from services.core.bus.roles import write_users
from services.core.errors import InputError, PeyvandError
from tests.support.cases.backups import write_backup
from tests.support.cases.datasets.rows import sealed_example
from tests.support.limits.small_disk import no_file_beyond
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


def test_a_backup_that_lacks_streams_is_refused_whole(tmp_path: Path, places: dict[str, str]) -> None:
    """Every stream that is missing, incomplete or another one is named, and nothing is restored."""
    kept = tmp_path / "kept"
    write_backup(kept)
    rmtree(kept / "EXCHANGES")
    (kept / "INDICATORS" / "stream.tar.s2").unlink()
    copy(kept / "KV_register" / "backup.json", kept / "KV_indicator")
    (kept / "FINDINGS" / "backup.json").write_text("{}")
    assert _sentences("bus", "restore", str(kept), "--credentials", places["seeds"]) == [
        (
            f"the backup {kept} lacks EXCHANGES, INDICATORS, FINDINGS, KV_indicator, and nothing was restored: "
            "name one that holds every stream"
        )
    ]


def test_a_backup_that_cannot_be_looked_for_is_named(places: dict[str, str]) -> None:
    """The system may refuse to look, as where a name is too long or a folder may not be entered."""
    unlikely = places["nothing"] + "a" * 300
    assert _sentences("bus", "restore", unlikely, "--credentials", places["seeds"]) == [
        f"{unlikely} cannot be read: File name too long"
    ]


@pytest.mark.parametrize(
    ("place", "reason"),
    [("nothing", "there is no such directory"), ("file", "it is no directory: name the one that holds policy.yaml")],
)
def test_a_file_in_place_of_a_register_is_called_no_directory(place: str, reason: str, places: dict[str, str]) -> None:
    """A file is there, so nobody says that there is none."""
    first, _ = _sentences("register", "check", places[place])
    assert first == f"{places[place]}: {reason}"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("archive", "public-key", "{binary}"), "{binary} holds no key: it is not UTF-8; make one with `peyvand archive key`"),
        (
            ("archive", "witness", "{dataset}", "--key", "{key}", "--sign", "{signs}", "--seen", "{binary}"),
            "{binary} is not the checkpoint that was cosigned last: it is not UTF-8",
        ),
        (
            ("archive", "witness", "{dataset}", "--key", "{key}", "--sign", "{signs}", "--seen", "{folder}"),
            "{folder} is not the checkpoint that was cosigned last: Is a directory",
        ),
        (
            ("archive", "verify", "{dataset}", "--key", "{binary}"),
            "Error: Invalid value for --key: {binary} is no public key: it is not UTF-8",
        ),
        (("round", "verify", "{work}", "--key", "{nothing}"), "the key {nothing} cannot be read: No such file or directory"),
        (("archive", "verify", "{dataset}", "--key", "{folder}"), "the key {folder} cannot be read: Is a directory"),
        (
            ("archive", "verify", "{dataset}", "--key", "a+b"),
            "Error: Invalid value for --key: a+b is no public key: it does not read name+identifier+key",
        ),
        (
            ("archive", "verify", "{dataset}", "--key", "{empty}"),
            "Error: Invalid value for --key: {empty} is no public key: it does not read name+identifier+key",
        ),
    ],
)  # fmt: skip
def test_a_sentence_names_a_file_once_and_says_what_is_wrong_with_it(
    words: tuple[str, ...], sentence: str, places: dict[str, str]
) -> None:
    """The words of Python about the same failure, with a number and the file's name again, are no help."""
    assert _sentences(*(word.format(**places) for word in words))[-1] == sentence.format(**places)


def test_a_new_register_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The system names no file where a disk is full, and fails to look for one whose name is too long."""
    listed = tmp_path / "list.csv"
    listed.write_text("agency,target\na,https://a.example/\n", "utf-8")
    out = tmp_path / "register"
    with no_file_beyond(4):
        assert _sentences("register", "import", "endpoints", str(listed), "--out", str(out)) == [
            f"{out}: it cannot be written: File too large",
            f"directory {out} is refused: 1 fault",
        ]
    unlikely = tmp_path / ("a" * 300)
    assert _sentences("register", "import", "endpoints", str(listed), "--out", str(unlikely)) == [
        f"{unlikely}: it cannot be written: File name too long",
        f"directory {unlikely} is refused: 1 fault",
    ]
