"""A frozen round of a small register, and the dataset that it is frozen from. Not a test."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from services.cli.rounds.freeze import RoundRequest, freeze
from services.core.model.register import Register
from services.dataset.days import EvidenceDays
from services.dataset.log import SigningKey
from services.dataset.rounds import SIGNED_SUMS, SUMS, sign_sums, sums_of
from services.dataset.storage import LocalStorage
from tests.support.cases.datasets.sealed import sealed_dataset
from tests.support.cases.scoring import LONG_SLOT, START, register_directory, stream

__all__ = ["SPAN", "dataset", "directory", "frozen", "key", "sign_again"]

DAY = date.fromisoformat(EvidenceDays("Asia/Tehran", 0, LONG_SLOT).day_of(START))
"""The first day of the stream; two whole ones follow."""
SPAN = (date.fromordinal(DAY.toordinal() + 1), date.fromordinal(DAY.toordinal() + 3))


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate("archive.example")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the register of the stream."""
    return register_directory(tmp_path_factory.mktemp("directory"), LONG_SLOT)


@pytest.fixture(scope="module")
def dataset(register: Register, key: SigningKey, tmp_path_factory: pytest.TempPathFactory) -> LocalStorage:
    return sealed_dataset(tmp_path_factory.mktemp("dataset"), register, stream(register, slots=235, seed=5), key)


@pytest.fixture(scope="module")
def frozen(dataset: LocalStorage, key: SigningKey, directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rounds")
    return freeze(dataset.address, out, key, RoundRequest("first", *SPAN, title_fa="دورهٔ نخست", register=directory))


def sign_again(folder: Path, key: SigningKey) -> None:
    """Sign the present content of a folder, as the holder of the key can."""
    storage = LocalStorage(folder)
    sums = sums_of(storage)
    storage.write(SUMS, sums.encode())
    storage.write(SIGNED_SUMS, sign_sums(sums, key).encode())
