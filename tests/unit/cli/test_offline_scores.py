"""Messages of `peyvand score --archive` when it cannot compute by the requested method."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.cli.offline_scores import Question, Rescoring, score_dataset
from services.core.errors import SettingsError
from services.dataset.days import EvidenceDays, Sealer, SealingContext, write_segments
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.dataset.tables import INDICATOR, indicator_table
from services.indicator.method_version import METHOD_VERSION
from tests.support.cases.datasets.rows import START, published
from tests.support.cases.scorer import SLOT, make_register

QUESTION = Question(None, structure=False, sensitivity=False, as_json=False)
RELEASE = "peyvand 0.0.1, which sealed days by it"


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    """Return a dataset with one day of numbers by method 3, sealed by release 0.0.1."""
    folder = tmp_path / "dataset"
    storage, days = LocalStorage(folder), EvidenceDays("Asia/Tehran", 3600.0, SLOT)
    number = replace(published(1), method_version="3")
    write_segments(storage, INDICATOR, [indicator_table([number], stored=START + 1.0, sequence=1)], 1, 1, days)
    context = SealingContext(method_version="3", software="0.0.1")
    Sealer(storage, SigningKey.generate("archive.example"), days).seal(days.day_of(START), context)
    return str(folder)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("3", f"this version computes by method {METHOD_VERSION}: use {RELEASE} to compute by 3, from the same files"),
        ("1", f"this version computes by method {METHOD_VERSION}: use the release that has it to compute by 1, from the same files"),
        ("", f"these numbers were published by method 3: use {RELEASE}, or give --method {METHOD_VERSION} to compute them by today's"),
    ],
)  # fmt: skip
def test_the_release_of_another_method_is_named(dataset: str, tmp_path: Path, method: str, said: str) -> None:
    """Numbers are computed only by this version's method. For another one the manifests tell which release to use."""
    register = make_register(tmp_path / "register")
    rescoring = Rescoring(method, "local", again=False, compare=False)
    with pytest.raises(SettingsError) as caught:
        score_dataset(
            dataset, register, QUESTION, rescoring, at=datetime.fromtimestamp(START, UTC).isoformat(), sequence=None
        )
    assert str(caught.value) == said
