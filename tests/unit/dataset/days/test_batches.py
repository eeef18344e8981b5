"""Accounts of batches: a sealed day shows what was lost, replaced or inserted between a prober and the archive."""

from __future__ import annotations

import random
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from services.dataset.days import BatchRun, EvidenceDays, LogFiles, list_segments, read_leaf, run_faults
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage, Storage
from services.dataset.tables import BATCH, StoredBatch
from tests.support.cases.datasets.batches import (
    DAYS,
    FIRST,
    GRACE,
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


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate("archive.example")


@pytest.fixture
def dataset(tmp_path: Path, key: SigningKey) -> Dataset:
    return Dataset(LocalStorage(tmp_path), key)


@pytest.mark.parametrize("cut", [1, 3, 1000])
def test_a_whole_chain(dataset: Dataset, cut: int) -> None:
    """For a run without faults, the day has the number of batches, the first and last number, and the last hash."""
    batches = chain(10)
    run = only(dataset.take(batches, cut=cut).seal())
    assert run == BatchRun("main", "p1", RUN, 10, 1, 10, batches[-1].sha256[:16].hex())


def test_a_hole(dataset: Dataset) -> None:
    """Numbers that never came are missing, even if the stream has every sequence. Batches after a hole are no break."""
    batches = chain(10)
    run = only(dataset.take([*batches[:3], *batches[5:7], *batches[8:]]).seal())
    assert (run.missing, run.holes) == (3, ((4, 5), (8, 8)))
    assert faults(run) == {"missing": 3}


def test_a_repetition_is_no_fault(dataset: Dataset) -> None:
    """A batch that is delivered again is counted as repeated, whenever it comes."""
    batches = chain(10)
    run = only(dataset.take([*batches, batches[2], batches[9], batches[9]]).seal())
    assert (run.batches, run.repeated, faults(run)) == (10, 3, {})


def test_a_fork(dataset: Dataset) -> None:
    """A number with two contents is a fork, and so is a batch that is chained to the inserted one."""
    batches, forged = chain(10), chain(10, content="forged")
    inserted = replace(forged[5], previous=batches[4].sha256)
    run = only(dataset.take([*batches[:7], inserted, forged[6], *batches[7:]]).seal())
    assert (run.forks, run.breaks, faults(run)) == ((6, 7), (), {"forked": 2})


def test_a_break(dataset: Dataset) -> None:
    """A replaced batch shows in the next one, which names another hash. A batch that names no hash is a break too."""
    batches = chain(10)
    replaced = replace(batches[4], sha256=sha256(b"other").digest())
    nameless = replace(batches[8], previous=b"")
    run = only(dataset.take([*batches[:4], replaced, *batches[5:8], nameless, batches[9]]).seal())
    assert (run.breaks, faults(run)) == ((6, 9), {"broken": 2})


def test_a_restart_begins_a_run(dataset: Dataset) -> None:
    """A run that begins after another is no fault, even if its spool begins with batches of the earlier run."""
    former, latter = chain(4), at(chain(3, OTHER), START + 3600)
    runs = dataset.take([*former, *at(former[-2:], START + 3590), *latter]).seal()
    assert [(run.run, run.batches, run.repeated, faults(run)) for run in runs] == [(RUN, 4, 2, {}), (OTHER, 3, 0, {})]


@pytest.mark.parametrize("number", [True, False])
def test_a_second_process_of_one_name(dataset: Dataset, number: bool) -> None:  # a parameter of the test
    """Batches of another run, or of none, among those of a run are parallel. Those of another prober are not."""
    batches, others = chain(6), chain(2, OTHER)
    if not number:
        others = [replace(one, run="", number=0, previous=b"") for one in others]
    elsewhere = [replace(one, prober="p2", run="c" * 32) for one in chain(1)]
    runs = dataset.take([*batches[:3], *others, *elsewhere, *batches[3:]]).seal()
    assert {run.run for run in runs if run.parallel} == {others[0].run}
    assert len(runs) == 3


def test_a_run_that_goes_on_in_a_stream_that_begins_again(dataset: Dataset) -> None:
    """A restarted stream gives lower sequences, yet only the lost batch is missing and the next run has no fault."""
    batches = at([*chain(9), *chain(4, OTHER)], START + 60.0)
    dataset.take(batches[:6])
    dataset.begin_again()
    runs = dataset.take(batches[7:]).seal()
    assert {run.run: faults(run) for run in runs} == {RUN: {"missing": 1}, OTHER: {}}


def test_batches_of_older_probers(dataset: Dataset) -> None:
    """Batches without numbers are counted and are no fault, as long as the prober's numbered batches come later."""
    unnumbered = [replace(one, run="", number=0, previous=b"") for one in chain(3)]
    runs = dataset.take([*unnumbered, *at(chain(3), START + 3600)]).seal()
    assert [(run.run, run.batches, faults(run)) for run in runs] == [("", 3, {}), (RUN, 3, {})]


def test_a_run_goes_on_over_midnight(dataset: Dataset) -> None:
    """Batches stored out of order around midnight are no hole of either day. The next day continues the chain."""
    batches = chain(8)
    before, after = [*batches[:3], batches[4]], [batches[3], *batches[5:7]]
    dataset.take([*before, *at(after, MIDNIGHT + 1), *at(batches[7:], DAYS.closes(FIRST) + 60)])
    assert [faults(run) for run in dataset.seal()] == [{}]
    second = only(dataset.seal(SECOND))
    assert (second.batches, second.first, second.last, faults(second)) == (4, 4, 8, {})


def test_what_is_missing_about_midnight_is_missed_once(dataset: Dataset) -> None:
    """A hole between two days belongs to the later day, even if days without batches lie between them."""
    batches = chain(9)
    dataset.take([*batches[:4], *at(batches[6:8], MIDNIGHT + 90_000)])
    assert [faults(run) for run in dataset.seal()] == [{}]
    third = only(dataset.seal(THIRD))
    assert (third.holes, faults(third)) == (((5, 6),), {"missing": 2})


def test_what_comes_a_day_later(dataset: Dataset) -> None:
    """A day later, a batch of the day before is a repetition, other content a fork, and a missing batch belated."""
    batches = chain(8)
    forged = replace(batches[1], sha256=sha256(b"forged").digest())
    late = at([batches[2], forged, batches[3], *batches[6:]], DAYS.closes(FIRST) + 60)
    dataset.take([*batches[:3], *batches[4:6], *late])
    assert [run.holes for run in dataset.seal()] == [((4, 4),)]
    second = only(dataset.seal(SECOND))
    assert (second.repeated, second.forks, second.belated) == (1, (2,), 1)
    assert faults(second) == {"forked": 1, "belated": 1}
    assert {segment.day for segment in list_segments(dataset.storage, BATCH)} == {SECOND}


def test_what_comes_after_the_usual_grace(tmp_path: Path, key: SigningKey) -> None:
    """With a day of grace, a batch that was missing is belated if it comes two days later, and counts once. A batch
    that had come, and comes again, is not belated.
    """
    days = EvidenceDays("Asia/Tehran", 24 * 3600, 300)
    dataset = Dataset(LocalStorage(tmp_path), key, days)
    batches = chain(8)
    late = at(batches[1:6], days.closes(FIRST) + 60)
    dataset.take([*batches[:3], *batches[4:7], *at(batches[7:], MIDNIGHT + 60), *late])
    dataset.take(at(batches[3:4], days.closes(SECOND) + 60))
    assert [run.holes for run in dataset.seal()] == [((4, 4),)]
    assert [faults(run) for run in dataset.seal(SECOND)] == [{}]
    third = only(dataset.seal(THIRD))
    assert faults(third) == {"belated": 1}
    fourth = days.day_of(days.closes(SECOND) + 60)
    assert fourth != THIRD
    assert faults(only(dataset.seal(fourth))) == {}


def test_a_run_that_began_before_the_archive(tmp_path: Path, key: SigningKey) -> None:
    """Numbers before the first one are not missing on the first accounted day. On later days a run begins with 1."""
    new = Dataset(LocalStorage(tmp_path / "new"), key)
    assert faults(only(new.take(chain(9)[4:]).seal())) == {}
    new.take(at(chain(9, OTHER)[4:], DAYS.closes(FIRST) + 60))
    assert faults(only(new.seal(SECOND))) == {"missing": 4}


def test_many_runs_are_named_by_their_faults(dataset: Dataset) -> None:
    """A prober that begins a thousand runs does not make a large leaf, and does not hide a run with a fault."""
    batches = chain(200)
    one = [replace(chain(1, f"{number:032x}")[0], prober=f"q{number}") for number in range(1000)]
    runs = dataset.take([*batches[:1:2], *batches[1::2], *one]).seal()
    latest = dataset.sealer.latest()
    assert latest is not None
    assert (len(runs), latest.more_runs) == (100, 901)
    (faulty,) = (run for run in runs if run.faults()["missing"])
    assert (faulty.missing, len(faulty.holes)) == (99, 20)
    (sentence,) = run_faults(latest)
    assert "99 missing (3, 5, 7," in sentence
    assert "41, …)" in sentence


def test_numbers_of_any_size(dataset: Dataset) -> None:
    """A number that no prober reaches makes one hole, not a long list."""
    batches = chain(3)
    far = replace(batches[2], number=(1 << 53) - 1)
    run = only(dataset.take([*batches[:2], far]).seal())
    assert run.holes == ((3, (1 << 53) - 2),)


def test_leaves_from_before_there_were_accounts(dataset: Dataset) -> None:
    """An old leaf without accounts can be read, and is written again byte for byte."""
    dataset.take(chain(2)).seal()
    ((_, manifest),) = LogFiles(dataset.storage).manifests()
    old = replace(manifest, runs=None, more_runs=0).leaf()
    assert b"runs" not in old
    read = read_leaf(old)
    assert read.leaf() == old
    assert read_leaf(manifest.leaf()) == manifest


class _InMemory(Storage):
    """A storage that keeps its files in memory."""

    address = "memory"

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def names(self, folder: str = "") -> list[str]:
        return sorted(name for name in self._files if name.startswith(folder))

    def read(self, name: str) -> bytes:
        return self._files[name]

    def write(self, name: str, content: bytes) -> None:
        self._files[name] = content

    def remove(self, name: str) -> None:
        self._files.pop(name, None)


def _disturbed(rng: random.Random) -> list[StoredBatch]:
    """Runs of two probers over midnight, with batches lost, repeated, replaced, inserted, late, and unnumbered."""
    batches: list[StoredBatch] = []
    for run, prober in ((RUN, "p1"), (OTHER, "p1"), ("c" * 32, "p2")):
        first = rng.randrange(3)
        begins = rng.uniform(MIDNIGHT - 3 * GRACE, MIDNIGHT + GRACE)
        length = rng.uniform(1.0, 400.0)
        for one in chain(40, run)[first:]:
            stored = begins + length * one.number + rng.choice((0, 0, 0, GRACE))
            forged = replace(one, sha256=sha256(f"forged {rng.random()}".encode()).digest())
            came = rng.choices(([one], [], [one, one], [one, forged], [forged]), (90, 3, 3, 2, 2))[0]
            batches += [replace(came_, prober=prober, stored=stored + 500 * place) for place, came_ in enumerate(came)]
    batches += [replace(batches[place], run="", number=0, previous=b"") for place in (0, 1, 5)]
    return sorted(batches, key=lambda one: one.stored)


@pytest.mark.parametrize("seed", range(12))
def test_stretches_of_chains_say_what_their_batches_say(key: SigningKey, seed: int) -> None:
    """A day's account is the same whether segments have many batches or one each."""
    rng = random.Random(seed)
    batches = _disturbed(rng)
    alone, together = Dataset(_InMemory(), key).take(batches, cut=1), Dataset(_InMemory(), key)
    together.take(batches, cut=rng.choice((7, 20, 200)))
    for day in (FIRST, SECOND):
        if any(DAYS.day_of(one.stored) == day for one in batches):
            assert together.seal(day) == alone.seal(day)
