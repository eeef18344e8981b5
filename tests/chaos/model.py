"""Judges a run by what must hold whatever happened: nothing lost, nothing twice, every known verdict true, the index recomputed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from peyvand.v1 import indicator_pb2
from services.core.bus import StoredMessage, columns_of
from services.core.bus.names import EXCHANGES, MEASUREMENTS
from services.core.codec import indicator_to_message
from services.core.codec.measurement import decode_measurements
from services.core.model import IndicatorKind, Measurement, Register
from services.register.directory import load_register
from services.scorer.offline import admitted, score_batches
from services.scorer.offline.jsonl import MeasurementLines
from tests.chaos.campaign import START_SECONDS, Run
from tests.chaos.world import SLOT
from tests.support.oracles import index as oracle
from tests.support.oracles.witness import EXACT, UNKNOWN, read_register, read_truth

_RECOMPUTED = 60
"""How many of the indexes that the api published are computed again: each takes all evidence up to then."""
_SHOWN = 5
_PROMPT_SECONDS = SLOT / 2 + 2
"""How long after its slot a measurement is stored in time: half a slot and a flush."""


def judge(run: Run) -> list[str]:
    """Return every finding, in sentences."""
    findings = [*run.wrong, *_not_well(run), *_tracebacks(run.folder / "logs")]
    if not run.messages:
        return findings
    register = load_register(run.folder / "sandbox" / "register")
    findings += _lost_or_doubled(run)
    findings += _archived(run)
    findings += _untrue(run)
    findings += _not_recomputed(run, register)
    findings += _not_as_by_oracle(run)
    return findings


def _not_well(run: Run) -> Iterator[str]:
    for recovery in run.recoveries:
        faults = "; ".join(map(str, recovery.faults))
        if recovery.seconds is None:
            yield f"it did not recover from {faults}"
        elif recovery.seconds > 2 * SLOT + START_SECONDS:
            yield f"it took {recovery.seconds:.1f} s to recover from {faults}"


def _tracebacks(logs: Path) -> Iterator[str]:
    for log in sorted(logs.glob("*.log")):
        lines = log.read_text("utf-8", "replace").splitlines()
        places = [place for place, line in enumerate(lines) if line.startswith("Traceback")]
        if places:
            yield f"{log.name} has {len(places)} tracebacks, the first from line {places[0] + 1}"


def _lost_or_doubled(run: Run) -> Iterator[str]:
    """Every acknowledged message is in its stream exactly once, by its content."""
    for stream in (MEASUREMENTS, EXCHANGES):
        stored = Counter((message.subject, message.data) for message in run.messages[stream])
        acknowledged = {(one.subject, one.payload) for one in run.record.acknowledged if one.stream == stream}
        lost = [one for one in run.before if one.stream == stream and (one.subject, one.payload) not in stored]
        if lost:
            yield f"{len(lost)} acknowledged messages of {stream} are gone, the first of sequence {lost[0].sequence}"
        twice = [content for content, times in stored.items() if times > 1]
        if twice and stream == MEASUREMENTS:
            yield f"{len(twice)} messages of {stream} are stored twice, the first on {twice[0][0]}"
        unasked = [subject for subject, data in stored if (subject, data) not in acknowledged]
        if unasked:
            yield f"{len(unasked)} messages of {stream} were never acknowledged, the first on {unasked[0]}"


def _archived(run: Run) -> Iterator[str]:
    """The archive has every row of the stream once, as far as it says that it is."""
    files = [file for file in (run.folder / "archive" / "dataset").rglob("*.parquet") if "measurement" in str(file)]
    rows: Counter[tuple[object, ...]] = Counter()
    names = ["sequence", "link", "endpoint", "slot_start", "outcome"]
    for file in files:
        try:
            table = pq.read_table(file, columns=names, page_checksum_verification=True).to_pylist()
        except (OSError, pa.ArrowInvalid) as error:
            yield f"{file.relative_to(run.folder)} is damaged, and was not made good: {error}"
            continue
        rows.update(
            (row["sequence"], row["link"] or row["endpoint"], int(row["slot_start"].timestamp()), row["outcome"])
            for row in table
        )
    reached = max((int(sequence) for sequence, *_ in rows if isinstance(sequence, int)), default=0)
    expected: Counter[tuple[object, ...]] = Counter(
        (message.sequence, row.target.id, row.slot_start, row.outcome.name)
        for message in run.messages[MEASUREMENTS]
        if message.sequence <= reached
        for row in decode_measurements(message.data)
    )
    last = run.messages[MEASUREMENTS][-1].sequence
    rows = Counter({row: times for row, times in rows.items() if isinstance(row[0], int) and row[0] <= last})
    if missing := expected - rows:
        yield f"{missing.total()} rows of MEASUREMENTS are not in the archive, such as {next(iter(missing))}"
    if more := rows - expected:
        yield f"{more.total()} rows of the archive are not in MEASUREMENTS, such as {next(iter(more))}"


def _untrue(run: Run) -> Iterator[str]:
    """Every known verdict is the sandbox's. Nothing was measured in a slot only where the prober was disturbed: elsewhere it says why
    the slot is unknown.
    """
    truth, late = read_truth(run.folder / "sandbox" / "truth.ndjson"), _late(run.folder / "logs" / "sandbox.log")
    told = [(link, slot, stage) for link, of in run.verdicts.items() for slot, stage in of.items() if slot not in late]
    wrong = [
        f"{link} in slot {slot}: {stage} for {truth.stage(link, slot)}"
        for link, slot, stage in told
        if stage is not None and stage != truth.stage(link, slot) and not _touch(run.astray, slot)
    ]
    if wrong:
        yield f"{len(wrong)} known verdicts are not true: {', '.join(wrong[:_SHOWN])}"
    measured = {(row.target.id, row.slot_start // SLOT) for row in _rows(run.messages[MEASUREMENTS])}
    lost = [
        f"{link} in slot {slot}"
        for link, slot, stage in told
        if stage is None and (link, slot) not in measured and not _touch(run.blind, slot)
    ]
    if lost:
        yield f"{len(lost)} slots were not measured although no prober was disturbed: {', '.join(lost[:_SHOWN])}"


def _touch(spans: Iterable[tuple[float, float]], slot: int) -> bool:
    """Whether any span touches a slot or one beside it."""
    return any(began < (slot + 2) * SLOT and ended > (slot - 1) * SLOT for began, ended in spans)


def _late(log: Path) -> set[int]:
    """Return the slots in which the sandbox, by its own log, did not do in time what its truth says: the machine was too busy."""
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines() if line.startswith("{")]
    late = [line for line in lines if line["event"] == "faults took effect late"]
    return {slot for line in late for slot in range(line["from_slot"] - 1, line["to_slot"] + 1)}


def _rows(messages: Iterable[StoredMessage]) -> Iterator[Measurement]:
    for message in messages:
        yield from decode_measurements(message.data)


def _not_recomputed(run: Run, register: Register) -> Iterator[str]:
    """Every published index comes out of the stream again, to the last bit."""
    lines = [_lines(message) for message in run.messages[MEASUREMENTS]]
    last = run.indicators[0]
    step = -(-len(run.answers) // _RECOMPUTED) or 1
    differing = [row for row in run.answers[::step] if row not in _computed(register, lines, row)]
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
    """Return the indicators of all kinds by the code of the indicator, of the moment and evidence of a published one."""
    sequence = int(like.evidence_sequence)
    counted = admitted(register, lines, up_to=sequence)
    snapshot = score_batches(
        register, counted.batches, at=like.as_of.seconds, windows=(like.window_days,), evidence_sequence=sequence
    )
    return [indicator_to_message(row) for kind in IndicatorKind for row in snapshot.rows(kind, like.window_days)]


def _not_as_by_oracle(run: Run) -> Iterator[str]:
    """The last index is that of the acknowledged measurements by an independent count in exact rationals."""
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
    """Whether a row was stored neither too late nor too early, and probed in its slot (docs/method.md §2)."""
    in_time = row.slot_start - SLOT <= stored <= row.slot_start + SLOT + _PROMPT_SECONDS + grace
    return in_time and (row.time is None or row.slot_start - 1 <= row.time <= row.slot_start + 1.5 * SLOT)


def _plain(row: Measurement) -> oracle.Measurement:
    stage = None if int(row.outcome) == UNKNOWN else int(row.outcome) - 2
    time = None if row.time is None else round(row.time * 1_000_000)
    return row.target.endpoint, row.target.id, row.vantage, row.slot_start // SLOT, time, stage


def verdict(findings: Iterable[str]) -> str:
    """Return the findings as lines."""
    return "\n".join(f"  * {finding}" for finding in findings)
