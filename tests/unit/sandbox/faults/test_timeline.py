from __future__ import annotations

from functools import cache
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.model.outcome import Stage
from services.sandbox.faults.faults import BUS_MODES, CYCLE, FaultMode, FaultScope, InjectedFault, draw_faults
from services.sandbox.faults.timeline import FaultTimeline
from services.sandbox.scenario.scenario import BUS, SCENARIOS, Scenario, make_scenario
from services.sandbox.timing import slot_timing

FIRST = 350_000_000


@cache
def scenario_of(name: str, seed: int = 1) -> Scenario:
    """Return a scenario, which the first test that needs it makes."""
    return make_scenario(name, seed=seed, base_port=7500, times=slot_timing(5))


def timeline(name: str, seed: int, intensity: float = 1.0) -> FaultTimeline:
    return FaultTimeline(scenario_of(name).served_links, bus=BUS, seed=seed, first_slot=FIRST, intensity=intensity)


# A mode is most likely to be missing with few links. The other scenario takes long to make.
@pytest.mark.parametrize(
    ("name", "seed"), [(name, seed) for name in SCENARIOS for seed in range(1, 51 if name == "small" else 6)]
)
def test_every_mode_within_six_slots(name, seed):
    """For any seed, every mode, and so every stage, occurs on some link within the first six slots."""
    served_links = scenario_of(name, seed).served_links
    line = FaultTimeline(served_links, bus=BUS, seed=seed, first_slot=FIRST)
    first_six = (span for slot in range(6) for span in line.state(FIRST + slot).values())
    seen = {span.mode for span in first_six if span.target != BUS}
    assert seen == set(FaultMode)
    assert {mode.stage for mode in seen} == set(Stage) - {Stage.OK}


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_stage_keeps_recurring(name):
    """In each of the first sixty cycles every stage occurs on some link. The bus fails in many, providers in most."""
    line = timeline(name, 7)
    bus = providers = 0
    for cycle in range(60):
        spans = line.spans(cycle)
        assert {span.mode.stage for span in spans if span.target != BUS} == set(Stage) - {Stage.OK}
        bus += any(span.cause is FaultScope.BUS for span in spans)
        providers += any(span.cause is FaultScope.PROVIDER for span in spans)
    assert bus >= 24
    assert providers >= 30


@pytest.mark.parametrize("name", SCENARIOS)
def test_most_links_are_well_and_the_share_moves(name):
    """In every slot most live links are OK, on average 70 to 95 %, and the share visibly changes between slots."""
    live = len(scenario_of(name).served_links)
    for seed in range(1, 4):
        line = timeline(name, seed)
        shares = [1 - len(line.state(FIRST + slot).keys() - {BUS}) / live for slot in range(20 * CYCLE)]
        assert min(shares) > 0.5
        assert 0.70 <= mean(shares) <= 0.95
        assert max(shares) - min(shares) > 0.1


def test_the_bus_takes_its_links_with_it():
    """While the bus fails, no link over it reaches a higher stage than the bus, and the bus endpoint fails too."""
    made, line = scenario_of("small"), timeline("small", 1)
    on_bus = [served.link for served in made.served_links if served.on_bus]
    down = [slot for slot in range(FIRST, FIRST + 20 * CYCLE) if BUS in line.state(slot)]
    assert down
    for slot in down:
        state = line.state(slot)
        assert state[BUS].mode in BUS_MODES
        assert all(state[link].mode.stage <= state[BUS].mode.stage for link in on_bus)


def test_same_seed_same_faults():
    """The same seed draws the same faults, in any order of calls. Another seed draws others."""
    served_links = scenario_of("small").served_links
    assert draw_faults(served_links, 5, 3, 1.0) == draw_faults(served_links, 5, 3, 1.0)
    assert draw_faults(served_links, 5, 3, 1.0) != draw_faults(served_links, 6, 3, 1.0)
    forward, backward = timeline("small", 5), timeline("small", 5)
    ahead = [dict(forward.state(FIRST + slot)) for slot in range(60)]
    back = [dict(backward.state(FIRST + slot)) for slot in reversed(range(60))]
    assert ahead == back[::-1]


def test_intensity():
    """At intensity 0 there are no faults, and at 3 there are more than at 1."""
    assert not any(timeline("small", 1, 0.0).spans(cycle) for cycle in range(10))
    wrong = [
        sum(span.end - span.start for cycle in range(10) for span in timeline("small", 1, intensity).spans(cycle))
        for intensity in (1.0, 3.0)
    ]
    assert wrong[1] > 1.5 * wrong[0]


def test_nothing_is_wrong_before_the_run():
    """Slots before the first one have no faults."""
    assert not timeline("small", 1).state(FIRST - 1)


def naive(name: str, faults: list[InjectedFault], slot: int) -> dict[str, tuple[FaultMode, FaultScope]]:
    """Return the faults in effect in one slot of the run, computed link by link from all faults."""
    found = {}
    now = [fault for fault in faults if fault.start <= slot < fault.end]
    for served in scenario_of(name).served_links:
        candidates = []
        for fault in now:
            strikes = {
                FaultScope.BUS: served.on_bus,
                FaultScope.PROVIDER: fault.subject == served.provider,
                FaultScope.LINK: fault.subject == served.link,
            }[fault.scope]
            if not strikes:
                continue
            mode = fault.mode
            if mode is FaultMode.TLS_BROKEN and not served.tls:
                mode = FaultMode.REFUSED
            candidates.append(
                (mode.stage, list(FaultScope).index(fault.scope), list(FaultMode).index(mode), mode, fault.scope)
            )
        if candidates:
            found[served.link] = min(candidates)[3:]
    return found


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), cycle=st.integers(0, 20), intensity=st.floats(0.2, 4.0))
def test_spans_are_what_a_slot_by_slot_recomputation_gives(seed, cycle, intensity):
    """Spans cover exactly the faulty (link, slot) pairs, each once, with the lowest stage and the widest cause."""
    line = timeline("small", seed, intensity)
    faults = [
        fault
        for each in range(cycle + 1)
        for fault in draw_faults(scenario_of("small").served_links, seed, each, intensity)
    ]
    covered: dict[int, dict[str, tuple[FaultMode, FaultScope]]] = {slot: {} for slot in range(CYCLE)}
    for span in line.spans(cycle):
        assert line.begin(cycle) <= span.start < span.end <= line.begin(cycle + 1)
        for slot in range(span.start, span.end):
            assert line.state(slot)[span.target] == span
            if span.target != BUS:
                row = covered[slot - line.begin(cycle)]
                assert span.target not in row
                row[span.target] = (span.mode, span.cause)
    for slot, row in covered.items():
        assert row == naive("small", faults, cycle * CYCLE + slot)
