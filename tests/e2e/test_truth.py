"""Every verdict and every index of a whole system equals what really happened."""

from __future__ import annotations

import pytest

from peyvand.v1.indicator_pb2 import Indicator
from tests.support.oracles import index as oracle
from tests.support.oracles.witness import Client, late_slots, overloaded_slots, read_register, read_truth

KINDS = {"government": 1, "sector": 2, "consumer": 3, "provider": 4, "service": 5, "link": 6}
SEEDS = (1, 2, 3)
SLOT = 3
SLOTS = 40
EXACT = 1e-12


@pytest.mark.slow
def test_every_verdict_and_every_index_equals_the_truth(system) -> None:
    """Over 40 slots with faults of every stage, each verdict read over gRPC equals the truth log, and so does the
    index. Slots that a busy machine took from the prober are unknown, and those that it took from the sandbox not compared.
    """
    for seed in SEEDS:  # in turn: the startup of one would take the processor from the first slots of another
        running = system("--slot", f"{SLOT}s", "--seed", str(seed))
        client = Client(running.api)
        _assert_run_is_true(running, client)
        client.close()
        running.stop()


def _assert_run_is_true(running, client) -> None:
    """Wait for 40 slots of one run and compare them with its truth log."""
    truth_path = running.data / "sandbox" / "truth.ndjson"
    running.until(truth_path.exists, what="the sandbox wrote its truth log")
    first = read_truth(truth_path).first_slot

    def published() -> bool:
        government = client.government()
        return government is not None and government.as_of.seconds // SLOT >= first + SLOTS

    running.until(published, what=f"{SLOTS} slots were published", seconds=SLOTS * SLOT + 60)
    register = read_register(running.data / "sandbox" / "register")
    live = [link["id"] for link in register["links"] if link["live_from"] is not None]
    as_of, indicators = _read_indicators(client)
    end = as_of // SLOT
    truth = read_truth(truth_path)
    told = {link: client.verdicts(link, first, end, SLOT) for link in live}
    late = late_slots(running.data / "logs" / "sandbox.log", range(first, end))
    overloaded = overloaded_slots(client, told, SLOT, running.data / "logs" / "prober.log")
    slots = [(link, s) for link in live for s in range(first, end) if (link, s) not in overloaded]
    expected = {(link, s): told[link][s] if s in late else truth.stage(link, s) for link, s in slots}
    wrong = [(link, s, told[link][s], stage) for (link, s), stage in expected.items() if told[link][s] != stage]
    shown = [(*one, client.reason(one[0], one[1], SLOT)) for one in wrong[:10]]
    assert not wrong, f"{len(wrong)} of {len(expected)} verdicts differ (link, slot, told, true, reason): {shown}"
    stages = {(False, link, s): stage for (link, s), stage in expected.items() if stage is not None}
    assert set(stages.values()) == set(range(6))
    _assert_index_is_true(indicators, oracle.index(register, stages, days=28, end_slot=end))


def _read_indicators(client) -> tuple[int, dict[str, dict[str, Indicator]]]:
    """Return the as_of that the indicators of all kinds have in common, and these by kind and id."""
    for _ in range(10):
        as_of = client.government().as_of.seconds
        published = {kind: client.indicators(number, 28) for kind, number in KINDS.items()}
        if {one.as_of.seconds for of_kind in published.values() for one in of_kind.values()} == {as_of}:
            return as_of, published
    pytest.fail("indicators of one as_of could not be read together in ten attempts")


def _assert_index_is_true(published, results) -> None:
    """Assert that published indicators of every kind equal the brute force's."""
    results = {key: result for key, result in results.items() if key[0] != "endpoint"}
    assert {(kind, name) for kind, of_kind in published.items() for name in of_kind} == set(results)
    for (kind, name), true in results.items():
        one = published[kind][name]
        assert one.HasField("point") == (true.point is not None), (kind, name)
        for said, exact in (
            (one.known_share, true.known_share),
            (one.point, true.point or 0),
            (one.lower, true.lower),
            (one.upper, true.upper),
        ):
            assert said == pytest.approx(float(exact), abs=EXACT), (kind, name)
