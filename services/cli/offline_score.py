"""Scores measurements in files, for ``peyvand score``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import typer

from services.cli.moments import parse_moment
from services.cli.render.output import new_console
from services.cli.render.score import score_tables, sensitivity_json, sensitivity_tables
from services.cli.render.structure import structure_tables
from services.core import codec
from services.core.errors import SettingsError
from services.core.model import ExchangeSummary, IndicatorKind, Register
from services.indicator.index import Snapshot
from services.register.directory import load_register
from services.scorer.offline import (
    AdmittedEvidence,
    admitted,
    last_end,
    network,
    rankings,
    read_measurements,
    read_summaries,
    score_batches,
    volumes,
)

__all__ = ["OfflineEvidence", "print_rankings", "print_scores", "print_structures"]


@dataclass(frozen=True, slots=True)
class OfflineEvidence:
    """What is scored: the measurements that count, and exchanges, up to ``moment`` in epoch seconds."""

    register: Register
    measurements: AdmittedEvidence
    summaries: Sequence[ExchangeSummary]
    moment: float

    @classmethod
    def read(
        cls,
        directory: Path,
        measurements: Sequence[Path],
        exchanges: Sequence[Path],
        *,
        at: str,
        sequence: int | None,
        timings: bool,
    ) -> OfflineEvidence:
        """Read a register directory and files of JSON lines; ``at`` "" is the end of the newest slot measured.

        Raises InputError with every fault, SettingsError when there is no moment to score.
        """
        register = load_register(directory)
        lines = read_measurements(measurements, register, timings=timings)
        summaries = read_summaries(exchanges)
        counted = admitted(register, lines, up_to=sequence)
        if counted.late or counted.early:
            typer.echo(
                f"left out as the scorer does: {counted.late} measurements too late, {counted.early} early", err=True
            )
        moment = parse_moment(at, ZoneInfo(register.policy.timezone))
        if moment is None:
            moment = last_end(counted.batches, register.policy.slot_seconds)
        if moment is None:
            raise SettingsError("the files hold no measurement: say with --at when the index is to be computed")
        return cls(register, counted, summaries, moment)

    def window(self, days: int | None) -> int:
        """Return a window in days, the policy's default for None."""
        return self.register.policy.default_window if days is None else days

    def score(self, *windows: int) -> Snapshot:
        """Return the index over these windows, over all of the policy's without any."""
        return score_batches(
            self.register,
            self.measurements.batches,
            at=self.moment,
            windows=windows or None,
            evidence_sequence=self.measurements.sequence,
        )


def print_scores(evidence: OfflineEvidence, window: int | None, *, as_json: bool) -> None:
    """Print a table of one window; as JSON every indicator of it, or of all windows for None."""
    if not as_json:
        days = evidence.window(window)
        exchanged = volumes(evidence.register, evidence.summaries, at=evidence.moment, window_days=days)
        new_console().print(score_tables(evidence.register, evidence.score(days), exchanged))
        return
    snapshot = evidence.score(*([] if window is None else [window]))
    for row in (row for kind in IndicatorKind for days in snapshot.windows for row in snapshot.rows(kind, days)):
        typer.echo(codec.indicator_to_json(row))


def print_structures(evidence: OfflineEvidence, window: int | None, *, as_json: bool) -> None:
    """Print the structure over one window; as JSON over all windows for None."""
    snapshot = evidence.score(*([] if as_json and window is None else [evidence.window(window)]))
    for structure in network(evidence.register, snapshot):
        if as_json:
            typer.echo(codec.structure_to_json(structure))
        else:
            zone = ZoneInfo(evidence.register.policy.timezone)
            new_console().print(structure_tables(codec.structure_to_message(structure), zone))


def print_rankings(evidence: OfflineEvidence, window: int | None, *, as_json: bool) -> None:
    """Print rank bands of one window, and what moves ranks."""
    days = evidence.window(window)
    snapshot, register = evidence.score(days), evidence.register
    ranked = rankings(register, evidence.measurements.batches, evidence.summaries, at=evidence.moment, window=days)
    if as_json:
        for line in sensitivity_json(snapshot, ranked):
            typer.echo(line)
    else:
        new_console().print(sensitivity_tables(register, snapshot, ranked))
