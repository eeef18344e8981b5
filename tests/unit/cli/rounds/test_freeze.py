"""``peyvand round freeze`` freezes a whole round that can be verified, or none."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from services.cli.rounds.freeze import RoundRequest, freeze
from services.cli.rounds.verify import verify_round
from services.core.errors import SettingsError, StateError
from services.dataset.days import LogFiles, Manifest
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from tests.support.cases.datasets.round_folders import SPAN, dataset, directory, key
from tests.support.cases.scoring import register_of_long_slots as register

__all__ = ["dataset", "directory", "key", "register"]


@pytest.mark.parametrize("provisional", [False, True])
def test_no_round_is_frozen_that_could_never_be_verified(
    dataset: LocalStorage, key: SigningKey, directory: Path, tmp_path: Path, provisional: bool
) -> None:
    """Another key than that of the archive's log, and a file with other bytes than were sealed, are refused."""
    out = tmp_path / "rounds"
    request = RoundRequest("first", *SPAN, register=directory, provisional=provisional)
    for name in ("archive.example", "other.example"):
        with pytest.raises(SettingsError, match="did not sign the log"):
            freeze(dataset.address, out, SigningKey.generate(name), request)
    rotten = tmp_path / "dataset"
    shutil.copytree(dataset.address, rotten)
    file = max(rotten.glob("sealed/kind=link_day/*/*.parquet"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(StateError, match=f"{file.relative_to(rotten)} in .* not those that were sealed"):
        freeze(str(rotten), out, key, request)
    assert not list(out.glob("*"))


def test_a_leaf_without_a_checkpoint_shows_no_end(
    dataset: LocalStorage, key: SigningKey, directory: Path, tmp_path: Path
) -> None:
    """A day that the archive was about to sign when it was killed cannot show that the last days of a round are empty."""
    copied = LocalStorage(shutil.copytree(dataset.address, tmp_path / "dataset"))
    shutil.rmtree(tmp_path / "dataset/open")
    checkpoint = copied.read("log/checkpoint")
    later = Manifest((SPAN[1] + timedelta(days=5)).isoformat(), "Asia/Tehran", 0, 0, ()).leaf()
    LogFiles(copied).append(later, key)
    copied.write("log/checkpoint", checkpoint)
    request = RoundRequest("empty", SPAN[0], SPAN[1] + timedelta(days=3), register=directory)
    with pytest.raises(SettingsError, match=f"is sealed up to {SPAN[1] - timedelta(days=1)}, and the last day of"):
        freeze(copied.address, tmp_path / "rounds", key, request)
    LogFiles(copied).sign(key)
    assert verify_round(freeze(copied.address, tmp_path / "rounds", key, request), key.public).faults == ()


def test_a_previous_round_is_as_it_was_frozen(
    dataset: LocalStorage, key: SigningKey, directory: Path, tmp_path: Path
) -> None:
    """Changes are told from a previous round whose own key signed its numbers. A verification says what it took as it is."""
    first = freeze(dataset.address, tmp_path, key, RoundRequest("first", *SPAN, register=directory))
    request = RoundRequest("second", *SPAN, register=directory, previous=first)
    verified = verify_round(freeze(dataset.address, tmp_path, key, request), key.public)
    assert verified.faults == ()
    assert [sentence.startswith("previous.parquet was taken as it is") for sentence in verified.unchecked] == [True]
    rows = (first / "indicators.parquet").read_bytes()
    (first / "indicators.parquet").write_bytes(rows[:-1] + bytes([rows[-1] ^ 1]))
    with pytest.raises(StateError, match=r"indicators\.parquet in .*/first is not the file that was frozen"):
        freeze(dataset.address, tmp_path, key, replace(request, id="third"))
    assert not list(tmp_path.glob("*third*"))


def test_a_round_that_gets_no_name_is_not_frozen(
    dataset: LocalStorage, key: SigningKey, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused rename is one sentence and leaves nothing; the name of a frozen round is durable."""
    request = RoundRequest("first", *SPAN, register=directory)
    (tmp_path / "full").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda _self, _to: os.close(-1))
        with pytest.raises(StateError, match=f"{tmp_path}/full/first cannot be written: Bad file descriptor"):
            freeze(dataset.address, tmp_path / "full", key, request)
    assert list((tmp_path / "full").iterdir()) == []
    synced: list[tuple[Path, bool]] = []
    monkeypatch.setattr("services.cli.rounds.freeze.sync", lambda out: synced.append((out, (out / "first").is_dir())))
    freeze(dataset.address, tmp_path / "whole", key, request)
    assert synced == [(tmp_path / "whole", True)]
