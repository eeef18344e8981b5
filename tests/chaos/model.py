"""Judge a run by what must always hold: nothing lost or doubled, every known verdict true, the index reproducible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from services.core.bus import StoredMessage
from services.core.bus.names import EXCHANGES, MEASUREMENTS
from services.core.codec.exchange import decode_summaries
from services.core.codec.measurement import decode_measurements
from services.core.model import ExchangeSummary, Measurement
from services.register.directory import load_register
from services.sandbox.timing import slot_timing
from tests.chaos.campaign import RECOVERY_SECONDS, Run
from tests.chaos.recomputed import not_as_by_oracle, not_recomputed
from tests.chaos.world import SLOT
from tests.support.oracles.witness import late_slots, read_truth

_SHOWN = 5
_KNOWN_SECONDS = 120.0
"""How long the bus recognises a message that it has stored."""
_TIMING = slot_timing(SLOT)


def judge(run: Run) -> list[str]:
    """Return every finding, in sentences."""
    findings = [*run.wrong, *_not_well(run), *_tracebacks(run.folder / "logs")]
    if not run.verdicts:
        return findings
    register = load_register(run.folder / "sandbox" / "register")
    findings += _lost_or_doubled(run)
    findings += _archived(run)
    findings += _untrue(run)
    findings += not_recomputed(run, register)
    findings += not_as_by_oracle(run)
    return findings


def _not_well(run: Run) -> Iterator[str]:
    for recovery in run.recoveries:
        faults = "; ".join(map(str, recovery.faults))
        if recovery.seconds is None:
            yield f"it did not recover from {faults}"
        elif recovery.seconds > RECOVERY_SECONDS:
            yield f"it took {recovery.seconds:.1f} s to recover from {faults}"


def _tracebacks(logs: Path) -> Iterator[str]:
    for log in sorted(logs.glob("*.log")):
        lines = log.read_text("utf-8", "replace").splitlines()
        places = [place for place, line in enumerate(lines) if line.startswith("Traceback")]
        if places:
            yield f"{log.name} has {len(places)} tracebacks, the first from line {places[0] + 1}"


def _lost_or_doubled(run: Run) -> Iterator[str]:
    """Yield a finding unless every acknowledged message is in its stream once, by its content.

    The bus recognises a message for two minutes. One that a prober sends again later is stored again, and counts once.
    """
    for stream in (MEASUREMENTS, EXCHANGES):
        stored = {(message.subject, message.data) for message in run.messages[stream]}
        acknowledged = {(one.subject, one.payload) for one in run.record.acknowledged if one.stream == stream}
        lost = [one for one in run.before if one.stream == stream and (one.subject, one.payload) not in stored]
        if lost:
            yield f"{len(lost)} acknowledged messages of {stream} are gone, the first of sequence {lost[0].sequence}"
        twice = [message.subject for message in _stored_again(run.messages[stream])]
        if twice and stream == MEASUREMENTS:
            yield f"{len(twice)} messages of {stream} are stored twice within {_KNOWN_SECONDS:.0f} s, the first on {twice[0]}"
        unasked = stored - acknowledged
        if stream == EXCHANGES:
            unasked = set(_not_replaced(unasked, acknowledged))
        if unasked:
            yield f"{len(unasked)} messages of {stream} were never acknowledged, the first on {min(unasked)[0]}"


Message = tuple[str, bytes]
"""The subject and the content of a message."""


def _not_replaced(unasked: Iterable[Message], acknowledged: Iterable[Message]) -> Iterator[Message]:
    """Yield messages of EXCHANGES with a summary that was not replaced by a later one and not sent again.

    A collector that got no answer and was restarted sends waiting summaries in other messages than before.
    """
    latest: dict[tuple[str, str, int], ExchangeSummary] = {}
    for _, content in acknowledged:
        for one in decode_summaries(content)[1]:
            key = one.client, one.service, one.slot_start
            if key not in latest or latest[key].revision <= one.revision:
                latest[key] = one
    for message in unasked:
        for one in decode_summaries(message[1])[1]:
            last = latest.get((one.client, one.service, one.slot_start))
            if last is None or (last.revision <= one.revision and last != one):
                yield message
                break


def _stored_again(messages: Iterable[StoredMessage]) -> Iterator[StoredMessage]:
    """Yield messages that were stored again while the bus should have recognised them."""
    last: dict[tuple[str, bytes], float] = {}
    for message in messages:
        content = message.subject, message.data
        if content in last and message.time - last[content] < _KNOWN_SECONDS:
            yield message
        last[content] = message.time


def _archived(run: Run) -> Iterator[str]:
    """Yield a finding unless the archive has every row of the stream once."""
    files = run.archived.rglob("*.parquet")
    rows: Counter[tuple[object, ...]] = Counter()
    until_sealed = set[int]()
    names = ["sequence", "link", "endpoint", "slot_start", "outcome"]
    for file in files:
        try:
            table = pq.read_table(file, columns=names, page_checksum_verification=True).to_pylist()
        except (OSError, pa.ArrowInvalid) as error:
            if file in run.until_sealed:
                first, last = map(int, file.stem.split("-")[:2])
                until_sealed.update(range(first, last + 1))
            else:
                yield f"{file.relative_to(run.folder)} is damaged, and was not made good: {error}"
            continue
        rows.update(
            (row["sequence"], row["link"] or row["endpoint"], int(row["slot_start"].timestamp()), row["outcome"])
            for row in table
        )
    expected: Counter[tuple[object, ...]] = Counter(
        (message.sequence, row.target.id, row.slot_start, row.outcome.name)
        for message in run.messages[MEASUREMENTS]
        if message.sequence not in until_sealed
        for row in decode_measurements(message.data)
    )
    judged = set(range(run.messages[MEASUREMENTS][-1].sequence + 1)) - until_sealed
    rows = Counter({row: times for row, times in rows.items() if row[0] in judged})
    if missing := expected - rows:
        yield f"{missing.total()} rows of MEASUREMENTS are not in the archive, such as {next(iter(missing))}"
    if more := rows - expected:
        yield f"{more.total()} rows of the archive are not in MEASUREMENTS, such as {next(iter(more))}"


def _untrue(run: Run) -> Iterator[str]:
    """Yield a finding unless known verdicts are the sandbox's, and slots went unmeasured only by a disturbed prober.

    An undisturbed prober reports why a slot is unknown.
    """
    truth, late = read_truth(run.folder / "sandbox" / "truth.ndjson"), late_slots(run.folder / "logs" / "sandbox.log")
    told = [(link, slot, stage) for link, of in run.verdicts.items() for slot, stage in of.items() if slot not in late]
    belated = {(row.target.id, row.slot_start // SLOT) for row in _rows(run.messages[MEASUREMENTS]) if _is_belated(row)}
    wrong = [
        f"{link} in slot {slot}: {stage} for {truth.stage(link, slot)}"
        for link, slot, stage in told
        if stage is not None
        and stage != truth.stage(link, slot)
        and (link, slot) not in belated
        and not _touch(run.astray, slot)
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


def _is_belated(row: Measurement) -> bool:
    """Return whether a probe (on a busy machine) began so late that the sandbox may have been in the next slot."""
    return row.time is not None and row.time > row.slot_start + SLOT - _TIMING.timeout


def _touch(spans: Iterable[tuple[float, float]], slot: int) -> bool:
    """Return whether any span touches a slot or one beside it."""
    return any(began < (slot + 2) * SLOT and ended > (slot - 1) * SLOT for began, ended in spans)


def _rows(messages: Iterable[StoredMessage]) -> Iterator[Measurement]:
    for message in messages:
        yield from decode_measurements(message.data)
