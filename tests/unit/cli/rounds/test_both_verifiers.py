"""Both verifiers of rounds refuse the same forged ones: ours, and the one that has nothing of ours (docs/rounds.md §2)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.command_line import app
from services.cli.rounds.verify import verify_round
from services.core.canonical_json import canonical_json
from services.core.errors import StateError
from services.dataset.days import LogFiles
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from tests import independent_round_verifier
from tests.support.cases.datasets.round_folders import dataset, directory, frozen, key, sign_again
from tests.support.cases.scoring import register_of_long_slots as register

__all__ = ["dataset", "directory", "frozen", "key", "register"]


def both(folder: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Return what our verifier and the other one say against a round; empty where it is whole."""
    try:
        ours = "\n".join(map(str, verify_round(folder, key.public).faults))
    except StateError as error:
        ours = str(error)
    code = independent_round_verifier.main([str(folder), str(key.public)])
    printed = capsys.readouterr()
    return ours, (printed.out + printed.err) * bool(code)


def changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """Return a forgery that changes the bytes of the first file that a pattern names."""

    def forge(folder: Path) -> None:
        path = min(folder.glob(name))
        content = path.read_bytes()
        path.write_bytes(change(content))
        assert path.read_bytes() != content

    return forge


def described(**fields: Any) -> Callable[[Path], object]:
    """Return a forgery of round.json."""
    return changed("round.json", lambda content: canonical_json({**json.loads(content), **fields}))


def linked(folder: Path) -> None:
    outside = shutil.move(folder / "structure.json", folder.parent / "structure.json")
    (folder / "structure.json").symlink_to(outside)


LINE_ENDS = (b"\n", b"\r\n")

BY_ANYBODY = {
    "a link to the same bytes": linked,
    "a link to a folder": lambda folder: (folder / "register/elsewhere").symlink_to(folder.parent),
    "a pipe": lambda folder: os.mkfifo(folder / "evidence/pipe"),
    "line ends of the sums": changed("SHA256SUMS", lambda content: content.replace(*LINE_ENDS)),
    "old line ends of the sums": changed("SHA256SUMS", lambda content: content.replace(b"\n", b"\r")),
    "line ends of the note": changed("SHA256SUMS.note", lambda content: content.replace(*LINE_ENDS)),
    "another signature": changed(
        "SHA256SUMS.note", lambda note: note + "\N{EM DASH} other.example AAAAAAAA\n".encode()
    ),
    "no signature": changed("SHA256SUMS.note", lambda note: note.rpartition(b" ")[0] + b"\n"),
    "a note without an end": changed("SHA256SUMS.note", lambda note: note[:-1]),
    "no description": changed("round.json", lambda _: b"[]"),
    "half a description": changed("round.json", lambda content: content[: len(content) // 2]),
    "a deep description": changed("round.json", lambda _: b"[" * 100_000),
    "a day without manifest": lambda folder: min(folder.glob("evidence/days/*.json")).unlink(),
    "a day without proof": lambda folder: min(folder.glob("evidence/days/*.tlog-proof")).unlink(),
    "sums that are no text": changed("SHA256SUMS", lambda content: b"\xff" + content[1:]),
    "a note that is no text": changed("SHA256SUMS.note", lambda content: content[:-5] + b"\xff" + content[-4:]),
    "a name that is no text": lambda folder: Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).touch(),
    "no sums": lambda folder: (folder / "SHA256SUMS").unlink(),
    "no note": lambda folder: (folder / "SHA256SUMS.note").unlink(),
}
BY_THE_OWNER = {
    "days that are a number": described(days=5),
    "an end that is a number": described(end=5),
    "an end of another form": described(end="20260304"),
    "another format": described(format=2),
    "another key": described(key=str(SigningKey.generate("archive.example").public)),
    "white space": changed("round.json", lambda content: content + b"\n"),
    "line ends of a proof": changed("evidence/days/*.tlog-proof", lambda proof: proof.replace(*LINE_ENDS)),
    "a sign before the index": changed(
        "evidence/days/*.tlog-proof", lambda proof: proof.replace(b"index ", b"index +")
    ),
    "noise in a hash": changed("evidence/days/*.tlog-proof", lambda proof: proof.replace(b"=\n", b"=!\n", 1)),
}


@pytest.mark.parametrize("name", [*BY_ANYBODY, *BY_THE_OWNER])
def test_both_refuse_a_forged_round(
    frozen: Path, key: SigningKey, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """What anybody may do to a folder, and what the owner of the key may sign, both refuse in sentences."""
    folder = shutil.copytree(frozen, tmp_path / "forged")
    ({**BY_ANYBODY, **BY_THE_OWNER}[name])(folder)
    if name in BY_THE_OWNER:
        sign_again(folder, key)
    assert all(both(folder, key, capsys))


@pytest.mark.parametrize("fields", [{"timezone": "Asia/Nowhere"}, {"timezone": "../zone"}, {"as_of": 1 << 60}])
def test_a_moment_that_nobody_can_show_is_one_sentence(frozen: Path, tmp_path: Path, fields: dict[str, Any]) -> None:
    """A list of rounds names the description that it cannot use."""
    described(**fields)(shutil.copytree(frozen, tmp_path / "forged"))
    run = CliRunner().invoke(app, ["round", "list", str(tmp_path)])
    assert isinstance(run.exception, StateError)
    assert str(run.exception) == f"round.json in {tmp_path}/forged cannot be used: it does not describe a round"


def test_both_take_a_proof_with_an_extra_line(
    frozen: Path, key: SigningKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A proof may have a line that its log adds (c2sp.org/tlog-proof)."""
    folder = shutil.copytree(frozen, tmp_path / "extra")
    changed("evidence/days/*.tlog-proof", lambda proof: proof.replace(b"\n", b"\nextra YQ==\n", 1))(folder)
    sign_again(folder, key)
    assert both(folder, key, capsys) == ("", "")


def test_no_proof_places_a_day_before_the_beginning(
    frozen: Path, dataset: LocalStorage, key: SigningKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The proof of the last leaf of two also holds at index -1, where no day would have to be before it."""
    folder = shutil.copytree(frozen, tmp_path / "forged")
    log, days = LogFiles(LocalStorage(tmp_path / "log")), sorted(folder.glob("evidence/days/*.json"))
    for leaf in (days[0].read_bytes(), days[-1].read_bytes()):
        log.append(leaf, key)
    kept = days[-1].stem
    for day in (one.stem for one in days[:-1]):
        for path in [*folder.glob(f"evidence/days/{day}.*"), *folder.glob(f"evidence/sealed/**/day={day}/*")]:
            path.unlink()
    proof = str(log.prove(*log.read(), 1))
    for index, said in ((1, "nothing shows that the log has no day from"), (-1, f"{kept}.")):
        days[-1].with_suffix(".tlog-proof").write_text(proof.replace("index 1\n", f"index {index}\n"), "utf-8")
        described(days=[kept], title_en=str(index))(folder)
        sign_again(folder, key)
        for found in both(folder, key, capsys):
            assert said in found


def test_the_other_verifier_names_every_file_it_can(
    frozen: Path, key: SigningKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A manifest that is missing does not hide another file with other bytes."""
    folder = shutil.copytree(frozen, tmp_path / "forged")
    missing = min(folder.glob("evidence/days/*.json"))
    missing.unlink()
    changed("structure.json", bytes.upper)(folder)
    assert independent_round_verifier.main([str(folder), str(key.public)]) == 1
    printed = capsys.readouterr().out
    assert f"{missing.relative_to(folder)}: missing" in printed
    assert "structure.json: other bytes than were frozen" in printed
