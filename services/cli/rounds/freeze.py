"""Freezes a round into a folder that stands alone: ``peyvand round freeze`` (docs/rounds.md)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final

from services.cli.rounds.derived import compute_round, derived_files, end_of_round, record_of
from services.cli.rounds.evidence import (
    EvidenceFolder,
    copy_sealed,
    days_between,
    newest_sealed_day,
    open_days,
    seal_open,
)
from services.cli.rounds.reading import PREVIOUS_FILE, moves_since, round_in
from services.cli.rounds.report import report_files
from services.cli.rounds.tools import tools
from services.core.errors import SettingsError, StateError
from services.core.files import sync
from services.core.model import Register
from services.dataset.days import Manifest
from services.dataset.log import SigningKey
from services.dataset.rounds import (
    INDICATORS_FILE,
    ROUND_FILE,
    ROUND_ID,
    SIGNED_SUMS,
    SUMS,
    FrozenRound,
    sign_sums,
    summarise,
    sums_of,
)
from services.dataset.storage import LocalStorage, open_dataset
from services.indicator.method_version import METHOD_VERSION
from services.register.directory import load_register
from services.scorer.archived import ArchivedEvidence

_YEARS: Final = range(1971, 9999)
"""The years of rounds: their records are after the epoch of Unix, and dates end with the year 9999."""


@dataclass(frozen=True, slots=True)
class RoundRequest:
    """What to freeze: days from ``first`` to ``last``, exclusive, or with ``provisional`` up to now as well."""

    id: str
    first: date
    last: date
    title_en: str = ""
    title_fa: str = ""
    register: Path | None = None
    provisional: bool = False
    corrects: str = ""
    why: str = ""
    previous: Path | None = None


def freeze(address: str, out: Path, key: SigningKey, request: RoundRequest) -> Path:
    """Write the folder of a round below ``out`` and return it. Raises SettingsError and StateError."""
    _check(request)
    folder = out / request.id
    if folder.exists():
        raise SettingsError(
            f"{folder} is there already: a frozen round is never written again; correct it by another (--corrects)"
        )
    source = open_dataset(address)
    archive = ArchivedEvidence(source)
    register = load_register(request.register) if request.register else archive.register_of(archive.published())
    begun = out / f".{request.id}.part"
    shutil.rmtree(begun, ignore_errors=True)
    target = LocalStorage(begun)
    record = record_of(request.last, (request.last - request.first).days)
    days = list(days_between(record, request.last + timedelta(days=request.provisional)))
    unsealed = open_days(source, days)
    if unsealed and not request.provisional:
        raise SettingsError(
            f"{', '.join(unsealed[:3])}{' …' * (len(unsealed) > 3)} not sealed yet in {address}: wait for the grace to pass, or "
            "freeze a round that says it is --provisional"
        )
    sealed_up_to = newest_sealed_day(source)
    if sealed_up_to < days[-1] and not request.provisional:
        raise SettingsError(
            f"{address} is sealed up to {sealed_up_to or 'no day'}, and the last day of the round is {days[-1]}: wait until a day "
            "from then on is sealed, or freeze a round that says it is --provisional"
        )
    try:
        sealed, around = copy_sealed(source, target, days, key.public)
        if unsealed:
            sealed += seal_open(source, target, unsealed, key, register.policy, sealed)
        if not sealed:
            raise SettingsError(f"{address} holds no evidence of {request.first} to {request.last}")
        _write(target, key, request, register, sealed, around)
        _name(begun, folder)
    finally:
        shutil.rmtree(begun, ignore_errors=True)
    return folder


def _write(
    target: LocalStorage,
    key: SigningKey,
    request: RoundRequest,
    register: Register,
    sealed: Sequence[Manifest],
    around: tuple[str, ...],
) -> None:
    """Write everything that follows from the evidence of a round, which is in its folder already, and sign it."""
    previous = _copy_previous(request.previous, target) if request.previous else ""
    policy = register.policy
    window_days = (request.last - request.first).days
    evidence = ArchivedEvidence(EvidenceFolder(target), sealed)
    as_of = end_of_round(evidence, policy, request.last, provisional=request.provisional)
    numbers = compute_round(evidence, register, as_of=as_of, window_days=window_days)
    frozen = FrozenRound(
        id=request.id,
        title_en=request.title_en or request.id,
        title_fa=request.title_fa or request.title_en or request.id,
        timezone=policy.timezone,
        window_days=window_days,
        as_of=numbers.snapshot.as_of,
        evidence_sequence=evidence.last_sequence,
        register_version=register.register_version,
        probe_version=register.probe_version,
        method_version=METHOD_VERSION,
        software=version("peyvand"),
        record=record_of(request.last, window_days).isoformat(),
        end=request.last.isoformat(),
        days=tuple(sorted(manifest.day for manifest in sealed)),
        key=str(key.public),
        around=around,
        provisional=request.provisional,
        corrects=request.corrects,
        why=request.why,
        previous=previous,
        tools=tools(),
    )
    moves = moves_since(target, frozen, numbers)
    for name, content in {**derived_files(frozen, numbers), **report_files(frozen, numbers, moves)}.items():
        target.write(name, content)
    target.write(ROUND_FILE, frozen.content())
    target.drop_empty_folders()
    sums = sums_of(target)
    target.write(SUMS, sums.encode())
    target.write(SIGNED_SUMS, sign_sums(sums, key).encode())


def _copy_previous(folder: Path, target: LocalStorage) -> str:
    """Copy the indicators of the previous round into this one; return its id. Raises StateError if it was changed."""
    storage = LocalStorage(folder)
    frozen = round_in(storage)
    try:
        summarise(storage)
    except ValueError as error:
        raise StateError(f"the round in {folder} cannot be used as the previous one: {error}") from error
    target.write(PREVIOUS_FILE, storage.read(INDICATORS_FILE))
    return frozen.id


def _name(begun: Path, folder: Path) -> None:
    """Give a round that is written its name, durably."""
    try:
        begun.rename(folder)
        sync(folder.parent)
    except OSError as error:
        raise StateError(f"{folder} cannot be written: {error.strerror}") from error


def newest_day(address: str) -> tuple[date, date]:
    """Return the newest day with measurements in a dataset, and the day after it. Raises SettingsError without one."""
    days = ArchivedEvidence(open_dataset(address)).measured_days
    if not days:
        raise SettingsError(f"{address} holds no measurement yet: the archive writes them once a minute")
    newest = date.fromisoformat(max(days))
    return newest, newest + timedelta(days=1)


def _check(request: RoundRequest) -> None:
    for option, name in (("ID", request.id), ("--corrects", request.corrects)):
        if not ROUND_ID.fullmatch(name) and (name or option == "ID"):
            raise SettingsError(f"{option}: {name!r} cannot name a round: use small letters, digits, dots and hyphens")
    if request.last <= request.first:
        raise SettingsError(
            f"a round from {request.first} to {request.last} has no day: --to is the first day after it"
        )
    if request.first.year not in _YEARS or request.last.year not in _YEARS:
        raise SettingsError(
            f"a round from {request.first} to {request.last} has no evidence: give days of the years {_YEARS[0]} to {_YEARS[-1]}"
        )
    if bool(request.corrects) is not bool(request.why):
        raise SettingsError("a correction says which round it corrects and why: give --corrects and --why together")
