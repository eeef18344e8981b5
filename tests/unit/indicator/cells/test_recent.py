"""The latest measurements equal those that a search of every measurement finds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.blocks.target_blocks import RecentBlock, decode_recent, encode_recent_blocks
from services.core.codec import decode_columns, encode_measurements
from services.core.model.measurement import Measurement, Phases, Target
from services.core.model.outcome import OUTCOME_OF, Outcome, Reason
from services.indicator.cells import recent as module
from services.indicator.cells.recent import FAILURES, RecentMeasurements, recent_batches
from services.indicator.cells.slots import TargetColumns

TARGETS = [Target("a"), Target("b"), Target("b", endpoint=True), Target("c")]
REASONS = [Reason.OK, Reason.OK, Reason.SHED, Reason.ANSWER_TIMEOUT, Reason.STATUS, Reason.LATE]


@st.composite
def streams(draw):
    """Batches of two vantages over a few slots, in any order, some repeated, with some slots measured twice."""
    rows = []
    for _ in range(draw(st.integers(1, 40))):
        reason, slot = draw(st.sampled_from(REASONS)), 1_800_000_000 + 300 * draw(st.integers(0, 9))
        later = draw(st.integers(0, 3)) / 4
        rows.append(
            Measurement(
                target=draw(st.sampled_from(TARGETS)),
                vantage=draw(st.sampled_from(["north", "south"])),
                slot_start=slot,
                time=None if reason is Reason.SHED else slot + later,
                outcome=OUTCOME_OF[reason],
                reason=reason,
                latency=None if reason is Reason.SHED else 0.25,
                phases=Phases(connect=0.001, processing=0.2),
                # A probe that is reported twice says the same.
                certificate_expiry=1_900_000_000 if later else None,
                detail="" if reason is Reason.OK else f"why {later}",
            )
        )
    sent = [rows[at : at + 5] for at in range(0, len(rows), 5)]
    sent = [[row for row in part if row.vantage == vantage] for part in sent for vantage in ("north", "south")]
    return [part for part in sent if part]


def counts_more(one: Measurement) -> tuple:
    """Within a slot a known measurement precedes an unknown one, then the earliest, then the lowest stage."""
    return one.outcome == Outcome.UNKNOWN, one.time is None, one.time or 0, one.outcome, one.reason


def seen(recent: RecentMeasurements, targets: list[Target]) -> tuple[set, list]:
    """Return the latest measurements and the failures as plain rows."""
    columns = recent.columns.of(targets)
    shown = []
    for rows in (recent.latest(columns), recent.failures(columns)):
        target, vantage, slot, time, outcome, reason, *_ = rows.numbers.tolist()
        named = [targets[at] for at in target], [recent.vantages[at] for at in vantage]
        shown.append(list(zip(*named, slot, time, outcome, reason, strict=True)))
    return set(shown[0]), shown[1]


def plain(row: Measurement) -> tuple:
    """A measurement as ``seen`` shows it."""
    time = -1 if row.time is None else round(row.time * 1e6)
    return row.target, row.vantage, row.slot_start, time, int(row.outcome), int(row.reason)


@settings(max_examples=150)
@given(streams(), st.randoms(use_true_random=False), st.booleans())
def test_the_latest_and_the_last_failures_stay(sent, chance, often):
    """In any order and repeated, the latest of each vantage and the newest failures are those of a full search."""
    module.SPARE = 0 if often else 4096
    rows = [row for part in sent for row in part]
    shuffled = [*sent, *chance.sample(sent, len(sent) // 2)]
    chance.shuffle(shuffled)
    recent = RecentMeasurements(TargetColumns())
    for part in shuffled:
        recent.take(decode_columns(encode_measurements(part)))
    latest, failures = seen(recent, TARGETS)
    best: dict = {}
    for row in rows:
        key = row.target, row.vantage
        if key not in best or (-row.slot_start, counts_more(row)) < (-best[key].slot_start, counts_more(best[key])):
            best[key] = row
    assert latest == {plain(row) for row in best.values()}
    for target in TARGETS:
        wrong: dict = {}
        for row in rows:
            key = row.slot_start, row.vantage
            if row.target == target and Outcome.NOT_CONNECTED <= row.outcome < Outcome.OK:
                wrong[key] = min(wrong.get(key, row), row, key=counts_more)
        mine = [row for row in failures if row[0] == target]
        slots = sorted((row.slot_start for row in wrong.values()), reverse=True)[:FAILURES]
        assert [row[2] for row in mine] == slots
        assert set(mine) <= {plain(row) for row in wrong.values()}


@settings(max_examples=50)
@given(streams())
def test_a_block_holds_all_of_it(sent):
    """Rows that were published and read again are the same, including times, phases and details."""
    recent, again = RecentMeasurements(TargetColumns()), RecentMeasurements(TargetColumns())
    for part in sent:
        recent.take(decode_columns(encode_measurements(part)))
    columns = recent.columns.of(TARGETS)
    block = RecentBlock(
        links=("a", "b", "c"),
        endpoints=("b",),
        vantages=tuple(recent.vantages),
        latest=recent.latest(recent.columns.of([TARGETS[0], TARGETS[1], TARGETS[3], TARGETS[2]])),
        failures=recent.failures(recent.columns.of([TARGETS[0], TARGETS[1], TARGETS[3], TARGETS[2]])),
        burn_known=np.arange(12).reshape(4, 3),
        burn_failed=np.arange(12).reshape(4, 3) // 2,
    )
    back = decode_recent(encode_recent_blocks([block])[0])
    assert (back.burn_known.tolist(), back.burn_failed.tolist()) == (
        block.burn_known.tolist(),
        block.burn_failed.tolist(),
    )
    for rows in (back.latest, back.failures):
        for batch in recent_batches(rows, back.targets, back.vantages):
            again.take(batch)
    assert seen(again, TARGETS) == seen(recent, TARGETS)
    mine, theirs = recent.failures(columns), again.failures(again.columns.of(TARGETS))
    assert mine.details.tolist() == theirs.details.tolist()
    assert mine.numbers[2:].tolist() == theirs.numbers[2:].tolist()


def test_nothing_heard_is_nothing_told():
    """There are no rows before the first measurement or of unknown targets."""
    assert seen(RecentMeasurements(TargetColumns()), TARGETS) == (set(), [])


def test_expiries_are_the_earliest_that_vantages_saw_last():
    """A target has the earliest expiry that its vantages last saw, or 0 if they last saw no certificate."""
    recent = RecentMeasurements(TargetColumns())

    def take(vantage, slot, **expiries):
        rows = [
            Measurement(
                target=Target(name),
                vantage=vantage,
                slot_start=slot,
                time=slot,
                outcome=Outcome.OK,
                reason=Reason.OK,
                certificate_expiry=expiry,
            )
            for name, expiry in expiries.items()
        ]
        recent.take(decode_columns(encode_measurements(rows)))

    take("north", 300, a=1_900_000_000, b=None, c=1_900_000_500)
    take("south", 300, a=1_800_000_000, b=None)
    take("north", 600, c=None)
    targets = [Target(name) for name in "abcd"]
    assert recent.expiries(recent.columns.of(targets)).tolist() == [1_800_000_000, 0, 0, 0]
