"""Renders the evidence behind one link or endpoint for ``peyvand explain``. Pure: messages in, renderables out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from peyvand.v1 import block_pb2, indicator_pb2, measurement_pb2, register_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.cli.render.format import new_table, percent, stage_name, when
from services.cli.render.traffic import reconciliation_lines
from services.core.codec import OBJECTION_STATES
from services.core.model import ENDLESS, STAGES, Outcome, known_reason, outcome_of
from services.core.texts import plural

_MARKS = {"resolve": "▒", "connect": "░", "tls": "▓", "processing": "█", "transfer": "▄"}
_BAR_CELLS = 16
_REASON_CELLS = 30
_DAY_SECONDS = 86_400
_NUMBERS = ("slots", "share", "took", "failed", "burn", "alert from")
"""Headings of columns that are right-justified."""


def evidence_parts(evidence: messages.LinkFindings, zone: tzinfo) -> Iterator[RenderableType]:
    """Yield slots, reasons, latest measurements, failures, burns, exchanges and objections, each where present.

    Times are in ``zone``.
    """
    if evidence.slots:
        counts = {stage: int(getattr(evidence, stage)) for stage in STAGES}
        stages = ", ".join(f"{stage_name(stage)} {count}" for stage, count in counts.items() if count)
        yield Text(f"{plural(evidence.slots, 'slot')} in force, {sum(counts.values())} known: {stages or 'none'}")
    if evidence.reasons:
        failed = sum(count.slots for count in evidence.reasons)
        span = f"{_time(evidence.reasons_from, zone)} to {_time(evidence.reasons_to, zone)}"
        yield Text(f"Why {failed} of {evidence.reasons_known} known slots failed, {span}:")
        yield _reasons(evidence)
    if evidence.latest:
        yield _latest(evidence, zone)
        present = [phase for phase in _MARKS if any(phase in _phases(row) for row in evidence.latest)]
        yield Text(" ".join(f"{_MARKS[phase]} {phase}" for phase in present), "dim")
    if evidence.failures:
        yield _failures(evidence, zone)
    if evidence.burns:
        yield _burns(evidence)
    if evidence.HasField("exchanges"):
        yield _exchanges(evidence.exchanges, zone)
    if evidence.HasField("reconciliation"):
        yield from reconciliation_lines(evidence.reconciliation, zone)
    yield from (_objection(objection, zone) for objection in evidence.objections)


def _reasons(evidence: messages.LinkFindings) -> Table:
    table = _table("", "reason", "slots", "share", "")
    for count in evidence.reasons:
        bar = Text("█" * max(1, round(count.share * _REASON_CELLS)), "red")
        table.add_row(_reason(count.reason), str(count.slots), percent(count.share), bar)
    return table


def _latest(evidence: messages.LinkFindings, zone: tzinfo) -> Table:
    expiries = [row.certificate_expiry.seconds for row in evidence.latest if row.HasField("certificate_expiry")]
    title = "Latest measurement of each vantage"
    if expiries:
        first = min(expiries)
        day = "" if first >= ENDLESS else f"{datetime.fromtimestamp(first, zone):%Y-%m-%d}"
        title += f"; certificate expires {day}" if day else "; certificate without end"
    table = _table(title, "vantage", "probed", "reason", "took", "phases")
    for row in evidence.latest:
        style = {Outcome.OK: "green", Outcome.UNKNOWN: "yellow"}.get(outcome_of(row.outcome), "red")
        table.add_row(row.vantage, _probed(row, zone), Text(_reason(row.reason), style), _took(row), _bar(row))
    return table


def _failures(evidence: messages.LinkFindings, zone: tzinfo) -> Table:
    table = _table("Last failures", "probed", "vantage", "why")
    for row in evidence.failures:
        took = _took(row)
        why = Text.assemble((_reason(row.reason), "red"), f" after {took}" if took else "")
        if row.detail:
            why = Text.assemble(why, "\n", (row.detail, "dim"))
        table.add_row(_probed(row, zone), row.vantage, why)
    return table


def _burns(evidence: messages.LinkFindings) -> Table:
    table = _table("Error budget", "span", "failed", "burn", "alert from", "")
    for burn in evidence.burns:
        state = Text("burning", "bold red") if burn.burning else Text("")
        table.add_row(
            burn.span,
            f"{burn.failed} of {burn.known}" if burn.known else "none known",
            f"{burn.burn:.1f}" if burn.known else "-",
            f"{burn.threshold:g}",
            state,
        )
    return table


def _exchanges(volume: block_pb2.ExchangeVolume, zone: tzinfo) -> Text:
    return Text(
        f"Over the data bus {volume.consumer} asked {volume.provider} {plural(volume.count, 'time')}"
        f" from {when(volume.slots_from, zone)} to {when(volume.slots_to, zone)}, on all their links together: "
        f"{volume.ok:,} answered, the bus failed {volume.bus_failures:,}, the provider {volume.provider_failures:,}; "
        f"last in the slot of {when(volume.last_slot, zone)}."
    )


def _objection(objection: register_pb2.Objection, zone: tzinfo) -> Text:
    """Return an objection beside the evidence that it contests, with the answer to it."""
    until = f" to {when(objection.to, zone)}" if objection.HasField("to") else ""
    state = OBJECTION_STATES.get(objection.state, f"state {objection.state}, which only a newer version can name")
    said = f"Objection ({state}), from {when(getattr(objection, 'from'), zone)}{until}: {objection.text_en}"
    return Text(f"{said} Answer: {objection.answer_en}" if objection.answer_en else said)


def work_lines(
    work: Iterable[register_pb2.Maintenance], indicator: indicator_pb2.Indicator, zone: tzinfo
) -> Iterator[Text]:
    """Yield a line for all announced work that goes on in the window or comes after it; it excludes nothing."""
    first = indicator.as_of.seconds - (indicator.window_days + 1) * _DAY_SECONDS  # the window begins at a midnight
    for one in work:
        if one.to.seconds > first:
            span = f"{when(getattr(one, 'from'), zone)} to {when(one.to, zone)}"
            note = f": {one.note}" if one.note else ""
            yield Text(f"Announced work on {one.subject}, {span}{note} (it excludes no slot)")


def _table(title: str, *headings: str) -> Table:
    columns = (
        Column(heading, justify="right" if heading in _NUMBERS else "left", overflow="fold") for heading in headings
    )
    return new_table(title or None, *columns)


def _bar(row: measurement_pb2.Measurement) -> Text:
    """Return the phases of one probe in proportion; each that took any time is at least one cell wide."""
    phases = _phases(row)
    total = sum(phases.values())
    cells = {phase: max(1, round(length / total * _BAR_CELLS)) if total else 0 for phase, length in phases.items()}
    return Text("".join(_MARKS[phase] * count for phase, count in cells.items()), "cyan")


def _phases(row: measurement_pb2.Measurement) -> dict[str, float]:
    """Return the seconds of each phase that was not skipped, in order."""
    return {field.name: _seconds(length) for field, length in row.phases.ListFields()}


def _took(row: measurement_pb2.Measurement) -> str:
    return f"{1000 * _seconds(row.latency):.1f} ms" if row.HasField("latency") else ""


def _probed(row: measurement_pb2.Measurement, zone: tzinfo) -> str:
    return _time(row.time, zone) if row.HasField("time") else f"not in {_time(row.slot_start, zone)}"


def _time(moment: Timestamp, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(moment.seconds, zone):%m-%d %H:%M:%S}"


def _seconds(length: Duration) -> float:
    return length.ToMicroseconds() / 1e6


def _reason(number: int) -> str:
    """Return a reason in words, or its number if only a newer version can name it."""
    reason = known_reason(number)
    return f"reason {number}" if reason is None else stage_name(reason.label)
