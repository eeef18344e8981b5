"""Every verdict and every index of a whole system equals what really happened."""

from __future__ import annotations

import pytest

from tests.support.oracles import index as oracle
from tests.support.oracles.witness import Client, read_register, read_truth

KINDS = {"government": 1, "sector": 2, "consumer": 3, "provider": 4, "service": 5, "link": 6}
SLOTS = 40
EXACT = 1e-12


RUNS = ((1, 2), (2, 3), (3, 3))
"""(seed, slot seconds) of the runs, one after another."""


@pytest.mark.slow
@pytest.mark.alone
def test_every_verdict_and_every_index_equals_the_truth(system) -> None:
    """Over 40 slots with faults of every stage, each verdict read over gRPC equals the truth log, and so does the
    index.
    """
    for (
        seed,
        slot,
    ) in RUNS:  # one after another: the startup of one would take the processor from the first slots of another
        running = system("--slot", f"{slot}s", "--seed", str(seed))
        client = Client(running.api)
        _assert_run_is_true(running, client, slot)
        client.close()
        running.stop()


def _assert_run_is_true(running, client, slot: int) -> None:
    """Wait for 40 slots of one run and compare them with its truth log."""
    truth_path = running.data / "sandbox" / "truth.ndjson"
    running.until(truth_path.exists, what="the sandbox wrote its truth log")
    first = read_truth(truth_path).first_slot

    def published() -> bool:
        government = client.government()
        return government is not None and government.as_of.seconds // slot >= first + SLOTS

    running.until(published, what=f"{SLOTS} slots were published", seconds=SLOTS * slot + 60)
    register = read_register(running.data / "sandbox" / "register")
    live = [link["id"] for link in register["links"] if link["live_from"] is not None]
    end = first + SLOTS
    truth = read_truth(truth_path)
    told = {link: client.verdicts(link, first, end, slot) for link in live}
    expected = {link: {s: truth.stage(link, s) for s in range(first, end)} for link in live}
    wrong = [
        (link, s - first, told[link][s], stage)
        for link, stages in expected.items()
        for s, stage in stages.items()
        if told[link][s] != stage
    ]
    shown = [(*one, client.reason(one[0], one[1] + first, slot)) for one in wrong[:10]]
    assert not wrong, f"{len(wrong)} of {len(live) * SLOTS} verdicts differ (link, slot, told, true, reason): {shown}"
    assert {stage for stages in expected.values() for stage in stages.values()} == set(range(6))

    _assert_index_is_true(client, register, truth, live)


def _assert_index_is_true(client, register, truth, live) -> None:
    """Assert that published indicators of every kind equal the brute force's over the truth log, at their own as_of."""
    for _ in range(10):
        as_of = client.government().as_of.seconds
        published = {kind: client.indicators(number, 28) for kind, number in KINDS.items()}
        if {one.as_of.seconds for of_kind in published.values() for one in of_kind.values()} == {as_of}:
            break
    else:
        pytest.fail("indicators of one as_of could not be read together in ten attempts")
    end = as_of // truth.slot_seconds
    stages = {(False, link, s): truth.stage(link, s) for link in live for s in range(truth.first_slot, end)}
    results = oracle.index(register, stages, days=28, end_slot=end)
    results = {key: result for key, result in results.items() if key[0] != "endpoint"}
    assert {(kind, name) for kind, of_kind in published.items() for name in of_kind} == set(results)
    for (kind, name), true in results.items():
        one = published[kind][name]
        assert one.known_share == pytest.approx(1, abs=EXACT), (kind, name)
        for said, exact in ((one.point, true.point), (one.lower, true.lower), (one.upper, true.upper)):
            assert exact is not None
            assert said == pytest.approx(float(exact), abs=EXACT), (kind, name)
