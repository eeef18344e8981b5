"""A log that somebody without its key has forged is refused by who verifies it, who witnesses it and who signs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from services.core.errors import StateError
from services.dataset.days import LogFiles, Manifest, verify
from services.dataset.log import Checkpoint, SigningKey, leaf_hash, root
from services.dataset.storage import LocalStorage
from tests.support.cases.datasets.rows import seal_a_day

EMPTY_DAY = Manifest("2030-01-01", "UTC", 0, 0, ()).leaf()


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate("archive.example")


@pytest.fixture
def dataset(tmp_path: Path, key: SigningKey) -> LocalStorage:
    seal_a_day(tmp_path / "dataset", key)
    return LocalStorage(tmp_path / "dataset")


def forge(dataset: LocalStorage, leaves: Sequence[bytes], key: SigningKey) -> Checkpoint:
    """Write a log of these leaves, signed by this key, as anybody may who can write to the folder."""
    for number, leaf in enumerate(leaves):
        dataset.write(f"log/entries/{number:06}.json", leaf)
    checkpoint = Checkpoint(key.name, len(leaves), root([leaf_hash(leaf) for leaf in leaves])).signed(key)
    dataset.write("log/checkpoint", str(checkpoint).encode())
    return checkpoint


def test_the_archive_signs_no_history_of_another(dataset: LocalStorage, key: SigningKey) -> None:
    """Who may write to the dataset, without its key, cannot have a changed history signed with the next leaf."""
    log, genuine = LogFiles(dataset), LogFiles(dataset).leaves()
    forged = [leaf.replace(b'"gaps":[]', b'"gaps":["x"]') for leaf in genuine]
    checkpoint = forge(dataset, forged, SigningKey.generate(key.name))
    with pytest.raises(StateError, match=r"is not signed by this key of archive\.example with id"):
        log.sign(key)
    dataset.write("log/checkpoint", str(replace(checkpoint.signed(key), root=checkpoint.root[::-1])).encode())
    with pytest.raises(StateError, match=r"the signature of archive\.example is wrong"):
        log.sign(key)
    dataset.remove("log/checkpoint")
    dataset.write("log/entries/000001.json", EMPTY_DAY)
    with pytest.raises(StateError, match="has 2 leaves after its checkpoint of 0"):
        log.sign(key)
    assert "log/checkpoint" not in dataset.names()


def test_no_archive_adds_a_day_again(dataset: LocalStorage, key: SigningKey) -> None:
    """A second archive that has sealed the same day at the same time is refused: the log would be faulty for good."""
    log = LogFiles(dataset)
    (leaf,) = log.leaves()
    with pytest.raises(StateError, match="another archive may write there; end one of the two"):
        log.append(leaf, key)
    assert verify(dataset, key.public) == []


def test_a_day_has_one_leaf(dataset: LocalStorage, key: SigningKey) -> None:
    """A second manifest would replace the first one of its day. It is neither signed nor verified."""
    log = LogFiles(dataset)
    again = log.leaves()[0].replace(b"shard=00", b"shard=01")
    dataset.write("log/entries/000001.json", again)
    with pytest.raises(StateError, match=r"log/entries/000001\.json in .* is not of a day after"):
        log.sign(key)
    forge(dataset, log.leaves(), key)
    assert ("log/entries/000001.json", "its day is not after that of the leaf before") in {
        (fault.file, fault.reason) for fault in verify(dataset, key.public)
    }


@pytest.mark.parametrize("elsewhere", ["sealed/../../elsewhere.parquet", "{folder}/elsewhere.parquet"])
def test_evidence_lies_in_the_dataset(dataset: LocalStorage, key: SigningKey, tmp_path: Path, elsewhere: str) -> None:
    """A manifest that names a file outside the dataset is a fault, also where that file is as it says."""
    (leaf,) = LogFiles(dataset).leaves()
    name = dataset.names("sealed")[0]
    (tmp_path / "elsewhere.parquet").write_bytes(dataset.read(name))
    dataset.remove(name)
    path = elsewhere.format(folder=tmp_path)
    forge(dataset, [leaf.replace(name.encode(), path.encode())], key)
    assert [(fault.file, fault.reason) for fault in verify(dataset, key.public)] == [
        (path, "it does not lie in the dataset")
    ]
