"""Causes of failed slots, held against going through the slots one by one (INDICATOR.md §6)."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.model import ALWAYS, Agency, Government, Link, Policy, Register, Service
from services.indicator import bits, charging
from services.indicator.causes import PAUSE, CauseRows, cause_states, join, rows_of
from services.indicator.frame import Frame


def frame_of(providers: list[int], agencies: int) -> Frame:
    """Return a frame with a link to each of the providers listed, all of one service of the last agency."""
    names = [f"a{number}" for number in range(agencies)]
    return Frame.of(
        Register(
            agencies={name: Agency(name, name, name, "x") for name in names},
            services={"s": Service("s", names[-1], "s", "s")},
            links={
                f"l{at}": Link(f"l{at}", "s", names[provider], str(at), live_from=ALWAYS)
                for at, provider in enumerate(providers)
            },
            endpoints={},
            probes={},
            policy=Policy(Government("gov", "", ""), "UTC", datetime(2026, 1, 1, tzinfo=UTC)),
        )
    )


@st.composite
def slots(draw: st.DrawFn) -> tuple[list[int], np.ndarray[Any, Any], np.ndarray[Any, Any] | None]:
    """Draw the providers of up to nine links, their verdicts in some slots, and the bus's."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    providers = [rng.randrange(3) for _ in range(draw(st.integers(0, 9)))]
    count = draw(st.integers(0, 12))
    good = rng.choice([0.2, 0.6, 0.95])

    def verdict() -> int:
        return 5 if rng.random() < good else rng.randrange(-1, 5)

    verdicts = np.array([[verdict() for _ in providers] for _ in range(count)], dtype=np.int8)
    bus = np.array([verdict() for _ in range(count)], dtype=np.int8) if rng.random() < 0.7 else None
    return providers, verdicts.reshape(count, len(providers)), bus


@settings(deadline=None)
@given(slots(), st.integers(1, 12), st.sampled_from([1, 2, 40, 1 << 20]))
def test_a_day_charged_as_bits_has_the_rows_of_its_states(case, times: int, cells: int) -> None:
    """However long the day and wherever it is cut, charging it as a whole gives what its slots one by one give."""
    providers, verdicts, bus = case
    frame, verdicts = frame_of(providers, 4), np.tile(verdicts, (times, 1))
    slots = len(verdicts)
    of_bus = np.full(slots, -1, dtype=np.int8) if bus is None else np.tile(bus, times)

    def words(stages: np.ndarray[Any, Any]) -> tuple[bits.Words, bits.Words]:
        return bits.pack(stages >= 0), bits.pack((stages >= 0) & (stages < 5))

    known, failed = words(np.ascontiguousarray(verdicts.T))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charging, "CELLS", cells)
        patch.setattr(charging, "PIECE_CELLS", 4 * cells)
        order = np.argsort(frame.provider, kind="stable")
        charge = charging.charge(frame, order, known, failed, words(of_bus[np.newaxis]), slots)
        while True:
            try:
                next(charge)
            except StopIteration as ended:
                found = ended.value
                break
    assert rows(found) == rows(rows_of(cause_states(frame, verdicts, of_bus)))


@settings(deadline=None)
@given(slots())
def test_every_failed_slot_is_charged_to_one_cause_at_most(case) -> None:
    """Slot by slot: the bus charges what fails with it, the majority decides on providers, the rest is links' own."""
    providers, verdicts, bus = case
    states = cause_states(frame_of(providers, 4), verdicts, bus)
    assert states.shape == (len(verdicts), 1 + 4 + len(providers))
    for slot, row in enumerate(verdicts.tolist()):
        bus_verdict = -1 if bus is None else int(bus[slot])
        bus_down = 0 <= bus_verdict < 5
        assert states[slot, 0] == (-1 if bus_verdict < 0 else int(bus_verdict < 5))
        for provider in range(4):
            known = [verdict for link, verdict in enumerate(row) if providers[link] == provider and verdict >= 0]
            fails = sum(verdict < 5 for verdict in known) * 2 > len(known)
            assert states[slot, 1 + provider] == (-1 if not known or (fails and bus_down) else int(fails))
        for link, verdict in enumerate(row):
            own, of_provider = int(states[slot, 5 + link]), int(states[slot, 1 + providers[link]])
            charged = [verdict >= 0 and own == -1, 0 <= verdict < 5 and own >= 0 and of_provider == 1, own == 1]
            assert sum(charged) == (0 <= verdict < 5)
            assert not charged[0] or bus_down
            assert verdict >= 0 or own == -1


def brute(column: list[int]) -> tuple[int, int, int, int, int]:
    """Sum one cause's slots by going through them."""
    known = [state for state in column if state >= 0]
    failed = [at for at, state in enumerate(known) if state == 1]
    if not failed:
        return len(known), 0, 0, min(len(known), PAUSE), min(len(known), PAUSE)
    outages = 1 + sum(after - before - 1 >= PAUSE for before, after in pairwise(failed))
    return len(known), len(failed), outages, min(failed[0], PAUSE), min(len(known) - 1 - failed[-1], PAUSE)


def rows(sums: CauseRows) -> list[tuple[int, ...]]:
    """Return a tuple per cause."""
    columns = (sums.known, sums.down, sums.outages, sums.head, sums.tail)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@st.composite
def stretches(draw: st.DrawFn) -> list[np.ndarray[Any, Any]]:
    """Draw three consecutive stretches of slots of the same causes."""
    causes = draw(st.integers(1, 4))
    lengths = [draw(st.integers(0, 2 * PAUSE)) for _ in range(3)]
    rng = random.Random(draw(st.integers(0, 2**32)))
    often = rng.choice([2, 10, 30])
    return [
        np.array([rng.choice([-1, *(often * [0]), 1]) for _ in range(length * causes)], dtype=np.int8).reshape(
            length, causes
        )
        for length in lengths
    ]


@settings(deadline=None)
@given(stretches())
def test_joined_rows_are_the_rows_of_the_whole_however_they_are_joined(parts) -> None:
    """Rows equal brute force, joining equals summing the whole, and it does not matter what is joined first."""
    first, second, third = (rows_of(part) for part in parts)
    whole = np.concatenate(parts)
    assert rows(rows_of(whole)) == [brute(whole[:, cause].tolist()) for cause in range(whole.shape[1])]
    assert rows(join(join(first, second), third)) == rows(rows_of(whole))
    assert rows(join(first, join(second, third))) == rows(rows_of(whole))


def test_a_day_of_one_second_slots_is_counted_without_overflow() -> None:
    """Two stretches whose slots fit 16 bits each may not fit them together."""
    half = rows_of(np.tile(np.array([[1], [0]], dtype=np.int8), (25_000, 1)))
    assert half.known.dtype == np.uint16
    assert rows(join(half, half)) == [(100_000, 50_000, 1, 0, 1)]
