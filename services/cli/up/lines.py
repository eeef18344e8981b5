"""Writes the lines of ``peyvand up``: one per slot, for logs and pipes, and notes on what is wrong. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from peyvand.v1 import indicator_pb2
from services.cli.render.format import bounds, known_percent, percent, point, stage_name
from services.core.model import largest_loss
from services.core.texts import plural


def slot_line(indicator: indicator_pb2.Indicator, probes_per_second: float | None) -> str:
    """Return one slot in one line."""
    worst = largest_loss(indicator.losses)
    lost = getattr(indicator.losses, worst)
    loss = f"most lost: {stage_name(worst)} {percent(lost)}  " if lost else "nothing lost  "
    return (
        f"{clock(indicator.as_of.seconds)}Z  index {point(indicator)}  bounds {bounds(indicator)}  "
        f"known {known_percent(indicator.known_share)}  {loss if indicator.HasField('point') else ''}"
        f"{probe_rate(probes_per_second)}"
    )


def endpoints_line(endpoints: Sequence[indicator_pb2.Indicator], probes_per_second: float | None) -> str:
    """Return one slot of a register without links in one line."""
    worst = worst_first(endpoints)[0]
    known = sum(endpoint.known_share > 0 for endpoint in endpoints)
    return (
        f"{clock(worst.as_of.seconds)}Z  {plural(len(endpoints), 'endpoint')}, {known} known  "
        f"worst: {worst.id} {point(worst)}, bounds {bounds(worst)}  {probe_rate(probes_per_second)}"
    )


def vantage_notes(failed: Sequence[tuple[str, str]], unresolved: Sequence[str]) -> list[str]:
    """Return why vantages know nothing: control targets that do not answer, and names that do not resolve."""
    notes = [
        f"vantage {vantage} is blind, so nothing it sees counts: {target} does not answer" for vantage, target in failed
    ]
    return notes + [f"vantage {vantage} resolves no name: check its name servers" for vantage in unresolved]


def restart_note(name: str, restarts: int) -> str:
    """Return the note that a component was restarted."""
    return f"{name} was restarted {plural(restarts, 'time')}"


def late_note(late: int) -> str:
    """Return the warning that the index lacks measurements that came too late."""
    return (
        f"{plural(late, 'measurement')} came after the grace of their slots and are not counted; "
        "see docs/alerts.md, MeasurementsLate"
    )


def worst_first(indicators: Sequence[indicator_pb2.Indicator]) -> list[indicator_pb2.Indicator]:
    """Return indicators by their lower bounds."""
    return sorted(indicators, key=lambda indicator: (indicator.lower, indicator.id))


def probe_rate(probes_per_second: float | None) -> str:
    """Return how many probes are made, or that this is not known."""
    if probes_per_second is None:
        return "- probes/s"
    if probes_per_second < 1:  # a small register in slots of minutes is still measured
        return f"{probes_per_second:.2g} probes/s"
    return f"{probes_per_second:.0f} probes/s" if probes_per_second >= 10 else f"{probes_per_second:.1f} probes/s"


def clock(seconds: float) -> str:
    """Return the time of day in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")
