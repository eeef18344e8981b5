"""The verification of a forged round reads nothing outside the round."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from services.cli.rounds.verify import verify_round
from services.dataset.days import LogFiles, Manifest, read_leaf
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from tests.support.cases.datasets.round_folders import dataset, directory, frozen, key, sign_again
from tests.support.cases.scoring import register_of_long_slots as register

__all__ = ["dataset", "directory", "frozen", "key", "register"]


@pytest.mark.parametrize("proven", [False, True])
def test_nothing_outside_of_a_round_is_read(
    frozen: Path, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proven: bool
) -> None:
    """A manifest or the round may name any path. A file that SHA256SUMS does not name is a fault and is not read."""
    folder, day = shutil.copytree(frozen, tmp_path / "rounds/forged"), json.loads((frozen / "round.json").read_bytes())
    name = folder / f"evidence/days/{day['days'][0]}"
    manifest = read_leaf(name.with_suffix(".json").read_bytes())
    assert isinstance(manifest, Manifest)
    outside = "../../../secret"
    (tmp_path / "secret").write_text("x")
    leaf = replace(manifest, files=tuple(replace(file, path=outside) for file in manifest.files)).leaf()
    name.with_suffix(".json").write_bytes(leaf)
    if proven:
        log = LogFiles(LocalStorage(tmp_path / "log"))
        log.append(leaf, key)
        name.with_suffix(".tlog-proof").write_text(str(log.prove(*log.read(), 0)))
    sign_again(folder, key)
    read: list[Path] = []
    read_bytes = Path.read_bytes

    def noted(path: Path) -> bytes:
        read.append(path.resolve())
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    found = {fault.file for fault in verify_round(folder, key.public).faults}
    assert (f"evidence/{outside}" in found) is proven
    assert read
    assert [path for path in read if not path.is_relative_to(folder.resolve())] == []


def test_links_and_leftovers_are_faults(frozen: Path, key: SigningKey, tmp_path: Path) -> None:
    """A file that no sum covers, or that leads out of the folder, is a fault of the round."""
    (tmp_path / "elsewhere").mkdir()
    for name, make in (
        ("evidence/more.part", lambda path: path.write_text("x")),
        ("register/elsewhere", lambda path: path.symlink_to(tmp_path / "elsewhere")),
        ("structure.json", lambda path: (path.unlink(), path.symlink_to(frozen / "structure.json"))),
        ("evidence/pipe", os.mkfifo),
    ):
        folder = shutil.copytree(frozen, tmp_path / "strange")
        make(folder / name)
        verified = verify_round(folder, key.public)
        assert [fault.file for fault in verified.faults] == [name]
        assert not verified.computed
        shutil.rmtree(folder)
