"""Computes the index from files or from a dataset, for ``peyvand score``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import typer

from services.cli.render.format import name_of, new_console, parse_moment
from services.cli.render.score import score_tables, sensitivity_json, sensitivity_tables
from services.cli.render.structure import structure_tables
from services.core import codec
from services.core.errors import Fault, InputError, SettingsError
from services.core.model import ExchangeSummary, Indicator, IndicatorKind, Policy, Register
from services.dataset.positions import read_position
from services.dataset.storage import open_dataset
from services.dataset.tables import MEASUREMENT
from services.indicator.calendar import Calendar
from services.indicator.index import Snapshot
from services.indicator.method_version import METHOD_VERSION
from services.indicator.sensitivity import MarkedDay, by_day, mark_days
from services.scorer.archived import ALL, ArchivedEvidence, engine_at
from services.scorer.offline import (
    admitted,
    last_end,
    network,
    rankings,
    read_measurements,
    read_summaries,
    recount_of,
    score_batches,
    score_evidence,
    volumes,
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the evidence: one ``window`` in days or those of the policy, and what is shown of it."""

    window: int | None
    structure: bool
    sensitivity: bool
    as_json: bool

    def days(self, policy: Policy) -> int:
        """Return the window to show, in days."""
        return policy.default_window if self.window is None else self.window

    def windows(self, policy: Policy) -> tuple[int, ...] | None:
        """Return the windows to compute; None for all of the policy."""
        return None if self.as_json and self.window is None and not self.sensitivity else (self.days(policy),)


@dataclass(frozen=True, slots=True)
class Rescoring:
    """How a dataset is scored again.

    ``method`` and ``engine`` say by which method and where. ``again`` counts the measurements, not the counts sealed
    beside them. ``compare`` compares the numbers with the published ones.
    """

    method: str
    engine: str
    again: bool
    compare: bool


def score_files(
    directory: Path,
    measurements: Sequence[Path],
    exchanges: Sequence[Path],
    question: Question,
    *,
    at: str,
    sequence: int | None,
) -> None:
    """Print the answer from files. An empty ``at`` stands for the end of the newest slot measured.

    Raises InputError with every fault of the files, and SettingsError when there is no moment to score.
    """
    register = _register_in(directory)
    policy = register.policy
    lines = read_measurements(measurements, register, timings=question.sensitivity)
    summaries = read_summaries(exchanges)
    counted = admitted(register, lines, up_to=sequence)
    if counted.late or counted.early or counted.misplaced:
        left_out = (
            f"{counted.late} measurements too late, {counted.early} early, {counted.misplaced} outside their slot"
        )
        typer.echo(f"left out as the scorer does: {left_out}", err=True)
    moment = parse_moment(at, ZoneInfo(policy.timezone))
    if moment is None:
        moment = last_end(counted.batches, policy.slot_seconds)
    if moment is None:
        raise SettingsError("the files hold no measurement: give the time of the index with --at")
    _check_epoch(policy, moment, f"register {directory}")
    snapshot = score_batches(
        register, counted.batches, at=moment, windows=question.windows(policy), evidence_sequence=counted.sequence
    )
    _print(
        register,
        snapshot,
        question,
        partial(mark_days, register, by_day(counted.batches, Calendar.of(policy))),
        lambda: summaries,
    )


def score_dataset(
    address: str, directory: Path | None, question: Question, rescoring: Rescoring, *, at: str, sequence: int | None
) -> None:
    """Print the answer from a dataset, by its register or by one in a directory.

    An empty ``at`` stands for the newest published numbers. Raises SettingsError, StateError for a damaged dataset, and
    InputError for numbers that differ from the published ones.
    """
    storage = open_dataset(address)
    # Before segments are listed, which may be more by then.
    archived = read_position(storage, MEASUREMENT) if rescoring.compare else None
    archive = ArchivedEvidence(storage)
    if rescoring.method not in ("", METHOD_VERSION):
        raise SettingsError(
            f"this version computes by method {METHOD_VERSION}: {_release_for(archive, {rescoring.method})} to compute by "
            f"{rescoring.method}, from the same files"
        )
    given = None if directory is None else _register_in(directory)
    newest = archive.published() if not (at and given) else []
    zone = (given or archive.register_of(newest)).policy.timezone
    moment = parse_moment(at, ZoneInfo(zone))
    published = archive.published(None if moment is None else int(moment))
    if moment is None and published:
        moment = published[0].as_of
    if moment is None:
        raise SettingsError(f"{address} holds no published number: give the time of the index with --at")
    register = given or archive.register_of(published or newest)
    methods = {row.method_version for row in published} - {METHOD_VERSION}
    if methods and not rescoring.method:
        raise SettingsError(
            f"these numbers were published by method {', '.join(sorted(methods))}: {_release_for(archive, methods)}, or give "
            f"--method {METHOD_VERSION} to compute them by today's"
        )
    if sequence is None and published:
        sequence = published[0].evidence_sequence
    policy, calendar = register.policy, Calendar.of(register.policy)
    _check_epoch(policy, moment, f"register {directory}" if directory else f"the register of {address}")
    end_slot = calendar.slot_of(moment)
    limits = {"end_slot": end_slot, "sequence": ALL if sequence is None else sequence}
    if sequence and archived and archive.limit(calendar, range(end_slot, end_slot), sequence).is_beyond(archived):
        raise SettingsError(
            f"these numbers count messages up to {sequence} of stream {archived.stream}, and {address} has them up to "
            f"{archived.sequence}: wait until the archive has written them, or give an earlier time with --at"
        )
    engine = engine_at(rescoring.engine)
    days = question.days(policy)
    evidence = archive.evidence(register, window_days=days, **limits, again=rescoring.again, engine=engine)
    windows = None if rescoring.compare else question.windows(policy)
    snapshot = score_evidence(register, evidence, at=moment, windows=windows, evidence_sequence=sequence or 0)
    if rescoring.compare:
        _compare(snapshot, published, address)
        return
    _print(
        register,
        snapshot,
        question,
        lambda span: archive.marked_days(register, span, sequence=limits["sequence"], engine=engine),
        lambda: archive.summaries(policy, days=days, end_slot=end_slot),
    )


def _register_in(directory: Path) -> Register:
    from services.register.directory import load_register  # noqa: PLC0415  # its libraries are slow to import

    return load_register(directory)


def _release_for(archive: ArchivedEvidence, methods: Collection[str]) -> str:
    """Return a phrase that names the release with some methods, if sealed days name one."""
    releases = archive.software_of(methods)
    return (
        f"use peyvand {' or '.join(releases)}, which sealed days by it" if releases else "use the release that has it"
    )


def _check_epoch(policy: Policy, moment: float, register: str) -> None:
    """Raise SettingsError when no slot counts up to ``moment``, in epoch seconds."""
    calendar = Calendar.of(policy)
    if calendar.slot_of(moment) <= calendar.epoch_slot:
        end, epoch = (
            f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S} UTC" for second in (moment, calendar.epoch)
        )
        raise SettingsError(
            f"nothing counts up to {end}: the epoch of {register} is {epoch}. Score with the register that was in force when "
            "this was measured; a sandbox that starts again begins anew"
        )


def _compare(snapshot: Snapshot, published: Sequence[Indicator], address: str) -> None:
    """Say that all published numbers were computed again. Raises InputError naming each that differs."""
    if not published:
        raise SettingsError(f"{address} has no number published as of that time to compare with")
    computed = {
        (row.kind, row.id, row.window_days): _as_kept(row)
        for kind in IndicatorKind
        for days in snapshot.windows
        for row in snapshot.rows(kind, days)
    }
    faults = [
        Fault(address, 0, 0, f"{row.kind.label} {row.id}, {row.window_days} days: {_difference(row, found)}")
        for row in published
        if (found := computed.get((row.kind, row.id, row.window_days))) != row
    ]
    if faults:
        raise InputError(f"the index published as of {snapshot.as_of}", faults)
    typer.echo(f"{len(published)} published numbers are the same, to the last bit")


def _as_kept(row: Indicator) -> Indicator:
    """Return an indicator as datasets keep it, without the outages behind its interval."""
    return replace(row, interval=replace(row.interval, outages=None)) if row.interval else row


def _difference(published: Indicator, computed: Indicator | None) -> str:
    if computed is None:
        return "published, and not computed"
    names = [
        field.name for field in fields(Indicator) if getattr(published, field.name) != getattr(computed, field.name)
    ]
    return ", ".join(f"{name} {getattr(published, name)}, computed {getattr(computed, name)}" for name in names)


def _print(
    register: Register,
    snapshot: Snapshot,
    question: Question,
    marked: Callable[[range], Iterable[Sequence[MarkedDay]]],
    summaries: Callable[[], Iterable[ExchangeSummary]],
) -> None:
    days, console = question.days(register.policy), new_console()
    if question.structure:
        _print_structures(register, snapshot, as_json=question.as_json)
    elif question.sensitivity:
        recount = recount_of(register, at=snapshot.as_of, window=days)
        for parts in marked(recount.span):
            recount.add(parts)
        ranked = rankings(register, recount, summaries(), at=snapshot.as_of, window=days)
        if question.as_json:
            typer.echo("\n".join(sensitivity_json(snapshot, ranked)))
        else:
            console.print(sensitivity_tables(register, snapshot, ranked))
    elif question.as_json:
        for row in (row for kind in IndicatorKind for days in snapshot.windows for row in snapshot.rows(kind, days)):
            typer.echo(codec.indicator_to_json(row))
    else:
        exchanged = volumes(register, summaries(), at=snapshot.as_of, window_days=days)
        console.print(score_tables(register, snapshot, exchanged, console.width))


def _print_structures(register: Register, snapshot: Snapshot, *, as_json: bool) -> None:
    for structure in network(register, snapshot):
        if as_json:
            typer.echo(codec.structure_to_json(structure))
        else:
            zone = ZoneInfo(register.policy.timezone)
            names = {name: name_of(agency) for name, agency in register.agencies.items()}
            new_console().print(structure_tables(codec.structure_to_message(structure), zone, names))
