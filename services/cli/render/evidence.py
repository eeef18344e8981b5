"""What ``peyvand explain link`` shows of the evidence behind one link or endpoint. Pure: messages in, renderables out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from peyvand.v1 import block_pb2, indicator_service_pb2, measurement_pb2
from services.cli.render.format import percent, when
from services.cli.render.tables import new_table
from services.cli.render.traffic import told
from services.core.model import STAGES, Outcome, Reason

__all__ = ["findings"]

_MARKS = {"resolve": "▒", "connect": "░", "tls": "▓", "processing": "█", "transfer": "▄"}
_BAR_CELLS = 16
_REASON_CELLS = 30


def findings(found: indicator_service_pb2.LinkFindings, zone: tzinfo) -> Iterator[RenderableType]:
    """Yield slots, reasons, what was last measured, burns and exchanges, as far as each is there; times in ``zone``."""
    if found.slots:
        yield _window(found)
    if found.reasons:
        failed = sum(one.slots for one in found.reasons)
        span = f"{_time(found.reasons_from, zone)} to {_time(found.reasons_to, zone)}"
        yield Text(f"Why {failed} of {found.reasons_known} known slots failed, {span}:")
        yield _reasons(found)
    if found.latest:
        yield _latest(found, zone)
        shown = [phase for phase in _MARKS if any(phase in _lengths(one) for one in found.latest)]
        yield Text(" ".join(f"{_MARKS[phase]} {phase}" for phase in shown), "dim")
    if found.failures:
        yield _failures(found, zone)
    if found.burns:
        yield _burns(found)
    if found.HasField("exchanges"):
        yield _exchanged(found.exchanges, zone)
    if found.HasField("reconciliation"):
        yield from told(found.reconciliation, zone)


def _window(found: indicator_service_pb2.LinkFindings) -> Text:
    counts = {stage: int(getattr(found, stage)) for stage in STAGES}
    known = sum(counts.values())
    shown = ", ".join(f"{stage.replace('_', ' ')} {count}" for stage, count in counts.items() if count)
    return Text(f"{found.slots} slots in force, {known} known: {shown or 'none'}")


def _reasons(found: indicator_service_pb2.LinkFindings) -> Table:
    table = _table("", "reason", "slots", "share", "")
    for one in found.reasons:
        bar = Text("█" * max(1, round(one.share * _REASON_CELLS)), "red")
        table.add_row(_word(Reason(one.reason)), str(one.slots), percent(one.share), bar)
    return table


def _latest(found: indicator_service_pb2.LinkFindings, zone: tzinfo) -> Table:
    expiries = {one.certificate_expiry.seconds for one in found.latest if one.HasField("certificate_expiry")}
    title = "Latest measurement of each vantage"
    if expiries:
        title += f"; certificate expires {datetime.fromtimestamp(min(expiries), zone):%Y-%m-%d}"
    table = _table(title, "vantage", "probed", "reason", "took", "phases")
    for one in found.latest:
        outcome = Outcome(one.outcome)
        style = {Outcome.OK: "green", Outcome.UNKNOWN: "yellow"}.get(outcome, "red")
        reason = Text(_word(Reason(one.reason)), style)
        table.add_row(one.vantage, _probed(one, zone), reason, _took(one), _bar(one))
    return table


def _failures(found: indicator_service_pb2.LinkFindings, zone: tzinfo) -> Table:
    table = _table("Last failures", "probed", "vantage", "why")
    for one in found.failures:
        took = _took(one)
        why = Text.assemble((_word(Reason(one.reason)), "red"), f" after {took}" if took else "")
        table.add_row(
            _probed(one, zone), one.vantage, Text.assemble(why, "\n", (one.detail, "dim")) if one.detail else why
        )
    return table


def _burns(found: indicator_service_pb2.LinkFindings) -> Table:
    table = _table("Error budget", "span", "failed", "burn", "alert from", "")
    for one in found.burns:
        state = Text("burning", "bold red") if one.burning else Text("")
        table.add_row(one.span, f"{one.failed} of {one.known}", f"{one.burn:.1f}", f"{one.threshold:g}", state)
    return table


def _exchanged(one: block_pb2.ExchangeVolume, zone: tzinfo) -> Text:
    """Say it of the pair, as it is; a scorer of before the span was kept says none."""
    span = f" from {when(one.slots_from, zone)} to {when(one.slots_to, zone)}" if one.HasField("slots_to") else ""
    return Text(
        f"Over the data bus {one.consumer} asked {one.provider} {one.count:,} times{span}, on all their links together: "
        f"{one.ok:,} answered, the bus failed {one.bus_failures:,}, the provider {one.provider_failures:,}; "
        f"last in the slot of {when(one.last_slot, zone)}."
    )


def _table(title: str, first: str, *headings: str) -> Table:
    table = new_table(title or None)
    for heading in (first, *headings):
        numbers = heading in ("slots", "share", "took", "failed", "burn", "alert from")
        table.add_column(heading, justify="right" if numbers else "left", overflow="fold")
    return table


def _bar(one: measurement_pb2.Measurement) -> Text:
    """The phases of one probe, each as wide as it was long; what took any time is seen."""
    lengths = _lengths(one)
    total = sum(lengths.values())
    cells = {phase: max(1, round(length / total * _BAR_CELLS)) if total else 0 for phase, length in lengths.items()}
    return Text("".join(_MARKS[phase] * count for phase, count in cells.items()), "cyan")


def _lengths(one: measurement_pb2.Measurement) -> dict[str, float]:
    """The seconds of each phase that was not skipped, in order."""
    return {field.name: _seconds(length) for field, length in one.phases.ListFields()}


def _took(one: measurement_pb2.Measurement) -> str:
    return f"{1000 * _seconds(one.latency):.1f} ms" if one.HasField("latency") else ""


def _probed(one: measurement_pb2.Measurement, zone: tzinfo) -> str:
    return _time(one.time, zone) if one.HasField("time") else f"not in {_time(one.slot_start, zone)}"


def _time(moment: Timestamp, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(moment.seconds, zone):%m-%d %H:%M:%S}"


def _seconds(length: Duration) -> float:
    return length.ToMicroseconds() / 1e6


def _word(reason: Reason) -> str:
    return reason.label.replace("_", " ")
