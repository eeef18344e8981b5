"""A log that somebody without its key has forged is refused by who verifies it, who witnesses it and who signs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from services.core.canonical_json import canonical_json
from services.dataset.days import LogFiles, verify, witness_faults
from services.dataset.log import Checkpoint, SigningKey, leaf_hash, root
from services.dataset.storage import LocalStorage
from tests.support.cases.datasets.rows import seal_a_day


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


def test_no_leaf_names_another_key(dataset: LocalStorage, key: SigningKey) -> None:
    """A leaf that names a key of the forger's makes no log good: a log has the key that its owner published."""
    log, forger = LogFiles(dataset), SigningKey.generate(key.name)
    genuine, seen = log.leaves(), log.checkpoint()
    named = canonical_json({"format": 1, "key": str(forger.public), "type": "key"})
    for leaves in ([*genuine, named], [named, *genuine]):
        checkpoint = forge(dataset, leaves, forger)
        assert any("has not signed it" in fault.reason for fault in verify(dataset, key.public))
        for last in (None, seen):
            found = witness_faults(leaves, checkpoint, log_key=key.public, seen=last)
            assert any("has not signed the checkpoint" in fault for fault in found)
