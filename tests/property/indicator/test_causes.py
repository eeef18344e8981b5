"""Causes of failed slots equal those of a count slot by slot (docs/method.md §6.2)."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.model.register import ALWAYS, Agency, Government, Link, Policy, Register, Service
from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts import closed_day
from services.indicator.verdicts.bits import Bits, pack_bits
from services.indicator.verdicts.causes import CauseSums, cause_states, join_sums, pause_slots, sum_states
from services.indicator.verdicts.closed_day import charge_day, run_to_end


def arrays_of(providers: list[int], agencies: int) -> RegisterArrays:
    """Return a register with a link to each of the providers listed, all of one service of the last agency."""
    names = [f"a{number}" for number in range(agencies)]
    return RegisterArrays.of(
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


pauses = st.sampled_from([1, 2, 12, 120])


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


@given(slots(), st.integers(1, 12), st.sampled_from([1, 2, 40, 1 << 20]), pauses)
def test_a_day_charged_as_bits_has_the_rows_of_its_states(case, times: int, cells: int, pause: int) -> None:
    """However long the day and wherever it is cut, charging it as a whole equals charging its slots one by one."""
    providers, verdicts, bus = case
    arrays, verdicts = arrays_of(providers, 4), np.tile(verdicts, (times, 1))
    slots = len(verdicts)
    of_bus = np.full(slots, -1, dtype=np.int8) if bus is None else np.tile(bus, times)

    def words(stages: np.ndarray[Any, Any]) -> tuple[Bits, Bits]:
        return pack_bits(stages >= 0), pack_bits((stages >= 0) & (stages < 5))

    known, failed = words(np.ascontiguousarray(verdicts.T))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closed_day, "CELLS", cells)
        patch.setattr(closed_day, "PIECE_CELLS", 4 * cells)
        order = np.argsort(arrays.provider, kind="stable")
        found = run_to_end(charge_day(arrays, order, known, failed, words(of_bus[np.newaxis]), slots, pause))
    assert rows(found) == rows(sum_states(cause_states(arrays, verdicts, of_bus), pause))


@given(slots())
def test_every_failed_slot_is_charged_to_one_cause_at_most(case) -> None:
    """Slot by slot, failures during a failure of the bus are the bus's, the majority decides on providers, and the rest
    is the links' own.
    """
    providers, verdicts, bus = case
    states = cause_states(arrays_of(providers, 4), verdicts, bus)
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


def brute(column: list[int], pause: int) -> tuple[int, int, int, int, int]:
    """Sum one cause's slots by going through them."""
    known = [state for state in column if state >= 0]
    failed = [at for at, state in enumerate(known) if state == 1]
    if not failed:
        return len(known), 0, 0, min(len(known), pause), min(len(known), pause)
    outages = 1 + sum(after - before - 1 >= pause for before, after in pairwise(failed))
    return len(known), len(failed), outages, min(failed[0], pause), min(len(known) - 1 - failed[-1], pause)


def rows(sums: CauseSums) -> list[tuple[int, ...]]:
    """Return a tuple per cause."""
    columns = (sums.known, sums.down, sums.outages, sums.head, sums.tail)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@st.composite
def stretches(draw: st.DrawFn) -> tuple[int, list[np.ndarray[Any, Any]]]:
    """Draw a pause, and three consecutive stretches of slots of the same causes."""
    pause = draw(pauses)
    causes = draw(st.integers(1, 4))
    lengths = [draw(st.integers(0, 2 * pause)) for _ in range(3)]
    rng = random.Random(draw(st.integers(0, 2**32)))
    often = rng.choice([2, 10, 30])
    return pause, [
        np.array([rng.choice([-1, *(often * [0]), 1]) for _ in range(length * causes)], dtype=np.int8).reshape(
            length, causes
        )
        for length in lengths
    ]


@given(stretches())
def test_joined_rows_are_the_rows_of_the_whole_however_they_are_joined(stretched) -> None:
    """Sums equal brute force, joining equals summing the whole, and the order of joining does not matter."""
    pause, parts = stretched
    first, second, third = (sum_states(part, pause) for part in parts)
    whole = np.concatenate(parts)
    assert rows(sum_states(whole, pause)) == [brute(whole[:, cause].tolist(), pause) for cause in range(whole.shape[1])]
    assert rows(join_sums(join_sums(first, second, pause), third, pause)) == rows(sum_states(whole, pause))
    assert rows(join_sums(first, join_sums(second, third, pause), pause)) == rows(sum_states(whole, pause))


@pytest.mark.parametrize(
    ("slot_seconds", "slots"), [(1, 120), (30, 120), (60, 60), (300, 12), (3600, 1), (4 * 3600, 1)]
)
def test_an_outage_ends_after_an_hour_of_known_slots(slot_seconds: int, slots: int) -> None:
    """Failures with nearly an hour of known slots between them are one outage; with an hour between them they are two."""
    pause = pause_slots(slot_seconds)
    assert pause == slots
    up = np.zeros((pause, 1), dtype=np.int8)
    down = np.ones((1, 1), dtype=np.int8)
    assert sum_states(np.vstack([down, up, down]), pause).outages.tolist() == [2]
    assert sum_states(np.vstack([down, up[1:], down]), pause).outages.tolist() == [1]


def test_a_day_of_one_second_slots_is_counted_without_overflow() -> None:
    """Two stretches whose counts fit 16 bits each are joined although their sum does not fit."""
    half = sum_states(np.tile(np.array([[1], [0]], dtype=np.int8), (25_000, 1)), 2)
    assert half.known.dtype == np.uint16
    assert rows(join_sums(half, half, 2)) == [(100_000, 50_000, 1, 0, 1)]
