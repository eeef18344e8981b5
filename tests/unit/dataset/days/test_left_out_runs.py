"""Runs that the account of a day left out, because it named a hundred others, are missing nothing later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.dataset.tables import StoredBatch
from tests.support.cases.datasets.batches import (
    DAYS,
    FIRST,
    MIDNIGHT,
    OTHER,
    RUN,
    SECOND,
    START,
    THIRD,
    Dataset,
    at,
    chain,
    faults,
    only,
)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(LocalStorage(tmp_path), SigningKey.generate("archive.example"))


def crowd() -> list[StoredBatch]:
    """A hundred runs of other probers, an hour after the first day began."""
    ones = [replace(chain(1, f"{number:032x}")[0], prober=f"q{number}") for number in range(100)]
    return at(ones, START + 3600)


def test_a_run_that_a_day_left_out_is_missing_nothing(dataset: Dataset) -> None:
    """Numbers that may have come on a day whose account left out the run are not missing later; lost ones after them are."""
    batches = chain(6)
    dataset.take([*batches[:3], *crowd(), *at(chain(1, OTHER), DAYS.closes(FIRST) + 60)])
    assert RUN not in {run.run for run in dataset.seal()}
    dataset.seal(SECOND)
    dataset.take(at([batches[3], batches[5]], MIDNIGHT + 90_000))
    third = only(dataset.seal(THIRD))
    assert (third.run, third.first, third.holes, faults(third)) == (RUN, 4, ((5, 5),), {"missing": 1})


def test_a_run_that_a_day_left_out_after_it_was_named_is_missing_nothing(dataset: Dataset) -> None:
    """What a run had when it was named stays known, and what it may have had when it was left out is not missing."""
    batches, second = chain(9), DAYS.closes(FIRST) + 60
    dataset.take([*batches[:3], *at(batches[3:6], second), *at(crowd(), second + 3600)])
    assert RUN in {run.run for run in dataset.seal()}
    assert RUN not in {run.run for run in dataset.seal(SECOND)}
    dataset.take(at(chain(1, OTHER), MIDNIGHT + 90_000))
    dataset.seal(THIRD)
    fourth = MIDNIGHT + 180_000
    dataset.take(at([batches[1], *batches[6:]], fourth))
    run = only(dataset.seal(DAYS.day_of(fourth)))
    assert (run.run, run.last, faults(run)) == (RUN, 9, {})


def test_a_run_that_goes_on_is_named_before_runs_that_ended(dataset: Dataset) -> None:
    """However early a run began, it is named if its last batch came after those of a hundred others."""
    first, last = chain(2)
    runs = dataset.take([first, *crowd(), *at([last], START + 7200)]).seal()
    assert RUN in {run.run for run in runs}
