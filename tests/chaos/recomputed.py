"""Recompute the index: by the code that scores live, to the last bit, and by brute force in exact rationals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import yaml

from peyvand.v1 import indicator_pb2
from services.core.bus import StoredMessage, columns_of
from services.core.bus.names import MEASUREMENTS
from services.core.codec import indicator_to_message
from services.core.codec.measurement import decode_measurements
from services.core.model import IndicatorKind, Measurement, Register
from services.scorer.offline import admitted, score_batches
from services.scorer.offline.jsonl import MeasurementLines
from tests.chaos.campaign import Run
from tests.chaos.world import SLOT
from tests.support.oracles import index as oracle
from tests.support.oracles.witness import EXACT, UNKNOWN, read_register

_RECOMPUTED = 60
"""How many of the published indexes are recomputed. Each takes all evidence up to then."""
_SHOWN = 5
_PROMPT_SECONDS = SLOT / 2 + 2
"""How long after its slot a measurement is stored in time: half a slot and a flush."""


def not_recomputed(run: Run, register: Register) -> Iterator[str]:
    """Yield a finding unless the stream reproduces the published indexes (a sample of them), to the last bit."""
    lines = [_lines(message) for message in run.messages[MEASUREMENTS]]
    last = run.indicators[0]
    read = run.messages[MEASUREMENTS][-1].sequence
    answers = [row for row in run.answers if row.evidence_sequence <= read]
    step = -(-len(answers) // _RECOMPUTED) or 1
    differing = [row for row in answers[::step] if row not in _computed(register, lines, row)]
    if differing:
        yield f"{len(differing)} published indexes cannot be computed again, the first as of {differing[0].as_of.seconds}"
    computed = _computed(register, lines, last)
    if others := [row for row in run.indicators if row not in computed]:
        yield f"{len(others)} of {len(run.indicators)} last indicators differ from those computed, such as of {others[0].id}"
    if back := [
        one for one, next_ in zip(run.answers, run.answers[1:], strict=False) if next_.as_of.seconds < one.as_of.seconds
    ]:
        yield f"the published index went back {len(back)} times, first from {back[0].as_of.seconds}"


def _lines(message: StoredMessage) -> MeasurementLines:
    columns = columns_of(message)
    return MeasurementLines(columns, np.full(len(columns), message.time), np.full(len(columns), message.sequence))


def _computed(
    register: Register, lines: Sequence[MeasurementLines], like: indicator_pb2.Indicator
) -> list[indicator_pb2.Indicator]:
    """Compute the indicators of all kinds with the library, for the moment and evidence of a published one."""
    sequence = int(like.evidence_sequence)
    counted = admitted(register, lines, up_to=sequence)
    snapshot = score_batches(
        register, counted.batches, at=like.as_of.seconds, windows=(like.window_days,), evidence_sequence=sequence
    )
    return [indicator_to_message(row) for kind in IndicatorKind for row in snapshot.rows(kind, like.window_days)]


def not_as_by_oracle(run: Run) -> Iterator[str]:
    """Yield a finding unless an independent count of the acknowledged measurements gives the last index."""
    last = run.indicators[0]
    acknowledged = {one.payload: one for one in run.record.acknowledged if one.stream == MEASUREMENTS}
    stored = {message.data: message.time for message in run.messages[MEASUREMENTS]}
    grace = (
        yaml.safe_load((run.folder / "sandbox" / "register" / "policy.yaml").read_text("utf-8"))["grace_hours"] * 3600
    )
    prompt: list[oracle.Measurement] = []
    delayed: list[oracle.Measurement] = []
    for payload in acknowledged:
        for one in decode_measurements(payload):
            moment = stored.get(payload, 0.0)
            if _counts(one, moment, grace):
                late = one.slot_start + SLOT + _PROMPT_SECONDS < moment
                (delayed if late else prompt).append(_plain(one))
    rows = read_register(run.folder / "sandbox" / "register")
    verdicts = oracle.verdicts(rows, prompt, delayed)
    results = oracle.index(rows, verdicts, days=last.window_days, end_slot=last.as_of.seconds // SLOT)
    differing = []
    for row in run.indicators:
        kind = indicator_pb2.IndicatorKind.Name(row.kind).removeprefix("INDICATOR_KIND_").lower()
        true = results[kind, row.id]
        pairs = ((row.lower, true.lower), (row.upper, true.upper), (row.known_share, true.known_share))
        if any(abs(said - float(exact)) > EXACT for said, exact in pairs):
            bounds = f"{row.lower} to {row.upper}, not {float(true.lower)} to {float(true.upper)}"
            differing.append(f"{kind} {row.id}: {bounds}")
    if differing:
        yield f"{len(differing)} last indicators are not what was acknowledged: {'; '.join(differing[:_SHOWN])}"


def _counts(row: Measurement, stored: float, grace: float) -> bool:
    """Return whether a row was stored neither too late nor too early, and probed in its slot (docs/method.md §2)."""
    in_time = row.slot_start - SLOT <= stored <= row.slot_start + SLOT + _PROMPT_SECONDS + grace
    return in_time and (row.time is None or row.slot_start - 1 <= row.time <= row.slot_start + 1.5 * SLOT)


def _plain(row: Measurement) -> oracle.Measurement:
    stage = None if int(row.outcome) == UNKNOWN else int(row.outcome) - 2
    time = None if row.time is None else round(row.time * 1_000_000)
    return row.target.endpoint, row.target.id, row.vantage, row.slot_start // SLOT, time, stage
