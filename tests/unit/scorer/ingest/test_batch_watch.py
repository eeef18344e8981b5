"""Batches that are missing or out of place are noticed as they arrive."""

from __future__ import annotations

import random
from collections.abc import Collection

import pytest

from services.core.codec import ChainPlace, encode_measurements
from services.core.model import Measurement, Outcome, Reason, Target
from services.scorer.ingest import batch_watch
from services.scorer.ingest.batch_watch import BatchWatch

RUN, OTHER = b"a" * 16, b"b" * 16


def chain(count: int, run: bytes = RUN, *, content: int = 0) -> list[bytes]:
    """The batches of a run of one prober, in order."""
    place, batches = ChainPlace(run, 1), list[bytes]()
    for number in range(count):
        row = Measurement(Target("deed-tax"), "main", number + content, 1.0, Outcome.OK, Reason.OK, prober="p1")
        batches.append(encode_measurements([row], place))
        place = place.next(batches[-1])
    return batches


def watched(batches: list[bytes], *, stored: float = 0.0) -> tuple[int, int]:
    """Return how many batches are missing and how many are out of place after all of these."""
    watch = BatchWatch()
    for batch in batches:
        watch.take(batch, stored)
    return watch.missing()["main"], watch.broken["main"]


def without(batches: list[bytes], lost: Collection[int]) -> BatchWatch:
    """Watch all of these batches but those at some places."""
    watch = BatchWatch()
    for place, batch in enumerate(batches):
        if place not in lost:
            watch.take(batch, 0.0)
    return watch


def test_a_whole_chain_shows_nothing_in_any_order() -> None:
    """Batches that overtake one another, are repeated, or begin in the middle of a run are whole."""
    batches, chance = chain(40), random.Random(1)
    assert watched(batches) == (0, 0)
    assert watched([*batches[10:], *batches]) == (0, 0)
    for _ in range(50):
        swapped = batches.copy()
        for place in chance.sample(range(2, len(batches) - 1), 10):
            swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
        assert watched(swapped) == (0, 0)


def test_holes_are_counted_until_they_close() -> None:
    """Every number that is absent before a later one is missing until it arrives, at any sequence of the stream."""
    batches, chance = chain(60), random.Random(2)
    for _ in range(50):
        lost = sorted(chance.sample(range(1, 59), 7))
        watch = without(batches, lost)
        assert watch.missing() == {"main": 7}
        for left, place in reversed([*enumerate(reversed(lost))]):
            watch.take(batches[place], 0.0)
            assert watch.missing() == {"main": left}
        assert watch.broken["main"] == 0


def test_a_hole_closes_however_much_came_after_it() -> None:
    """The prober is asked to send again what it keeps long after the loss, and may do so in any order."""
    batches, chance = chain(1000), random.Random(3)
    lost = set(chance.sample(range(1, 400), 50))
    watch = without(batches, lost)
    assert watch.missing() == {"main": 50}
    for left, place in enumerate(chance.sample(range(999), 999)):
        lost.discard(place)
        watch.take(batches[place], 0.0)
        assert watch.missing() == {"main": len(lost)}, left
    assert watch.broken["main"] == 0


def test_replaced_and_forked_batches_are_out_of_place() -> None:
    """A replaced batch breaks what follows it. The last number with other content is a fork."""
    batches, others = chain(10), chain(10, content=1000)
    assert watched([*batches[:4], others[4], *batches[5:]]) == (0, 2)
    assert watched([*batches[:4], others[3]]) == (0, 1)
    assert watched([*batches[:2], *batches[3:5], others[4], batches[2]]) == (0, 1)


def test_runs_do_not_touch_one_another() -> None:
    """A restarted prober begins a chain of its own, while batches of the earlier run may still arrive."""
    first, second = chain(10), chain(10, OTHER)
    assert watched([*first[:5], *second[:5], *first[5:], *second[5:]]) == (0, 0)
    assert watched([*first[:5], *second, first[9]]) == (4, 0)


def test_runs_and_holes_are_forgotten_in_time() -> None:
    """A run without batches for longer than probers keep theirs no longer counts."""
    batches = chain(5)
    watch = BatchWatch()
    for batch in (batches[0], batches[4]):
        watch.take(batch, 1000.0)
    watch.take(chain(1, OTHER)[0], 1000.0 + 25 * 3600)
    assert watch.missing() == {"main": 3}
    watch.take(chain(2, OTHER)[1], 1000.0 + 27 * 3600)
    assert watch.missing() == {"main": 0}


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only some batches are kept behind a hole, some holes of a run, and some runs for a vantage.

    A hole that is no longer kept stays counted.
    """
    monkeypatch.setattr(batch_watch, "_AHEAD", 3)
    monkeypatch.setattr(batch_watch, "_HOLES", 1)
    batches = chain(20)
    assert watched([batches[0], *batches[3:]]) == (2, 0)
    assert watched([batches[0], *batches[3:8], *batches[9:]]) == (3, 0)
    assert watched([batches[0], *batches[3:8], *batches[9:], *batches]) == (2, 0)
    monkeypatch.setattr(batch_watch, "_RUNS", 2)
    runs = [chain(3, bytes([run]) * 16) for run in range(4)]
    assert watched([batch for run in runs for batch in (run[0], run[2])]) == (2, 0)
