"""Makes an export of open data from the dataset of an archive."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from services.cli.opendata.datapackage import datapackage
from services.cli.opendata.dcat import dcat
from services.cli.opendata.files import MEDIA_TYPES, Contents, write_table
from services.cli.opendata.readme import readme
from services.cli.opendata.rows import indicator_table, register_tables, structure_tables
from services.cli.opendata.tables import INDICATORS, TABLES
from services.core.errors import SettingsError
from services.core.files import replace as replace_file
from services.core.files import sync
from services.core.model import Indicator, IndicatorKind, Register, Structure
from services.dataset.storage import open_dataset
from services.dataset.tables import indicators_of
from services.indicator.calendar import Calendar
from services.register.directory import load_register
from services.scorer.archived import ArchivedEvidence
from services.scorer.offline import network, score_evidence

PACKAGE: Final = "datapackage.json"
"""The description of the other files. It is written last."""

_KINDS: Final = (IndicatorKind.GOVERNMENT, IndicatorKind.SECTOR, IndicatorKind.CONSUMER, IndicatorKind.PROVIDER)
"""The kinds of the numbers: an agency and above."""

_NEW: Final = ".new"
"""The folder where files are written before any older one is replaced."""


def read_contents(address: str, directory: Path | None, *, first: str, last: str) -> Contents:
    """Return what was published on the days from ``first`` to ``last`` ("": all), and the register in force at the end.

    A register in ``directory`` may replace the archived one, with other official rounds or another licence. Raises
    SettingsError when nothing was published, or the register has another version, and StateError for a damaged dataset.
    """
    archive = ArchivedEvidence(open_dataset(address))
    published = list(archive.published_by_day(_KINDS, first=first, last=last or "9999"))
    if not published:
        spanned = "on those days: name others with --from and --to"
        elsewhere = spanned if first or last else "yet: name the folder of a dataset, which has log/ and sealed/"
        raise SettingsError(f"{address} has no number published {elsewhere}")
    number = next(indicators_of(published[-1][1].slice(0, 1)))
    register = _register(archive, number, directory)
    tables = {INDICATORS.name: indicator_table(published), **register_tables(register)}
    tables |= structure_tables(_structures(archive, register, number))
    return Contents(register, published[0][0], published[-1][0], number.as_of, number.method_version, tables)


def write_export(out: Path, contents: Contents) -> list[str]:
    """Write an export into a folder, in place of an older one, and return the names of its files.

    Nothing is replaced before everything is written. Raises SettingsError when the folder cannot be written or holds
    anything but an export.
    """
    described: dict[str, Callable[[Contents], bytes]] = {
        "dcat.jsonld": dcat,
        "README.fa.md": partial(readme, language="fa"),
        "README.en.md": partial(readme, language="en"),
        PACKAGE: datapackage,
    }
    names = [f"{table.name}.{form}" for table in TABLES for form in MEDIA_TYPES] + list(described)
    try:
        out.mkdir(parents=True, exist_ok=True)
        if others := sorted({path.name for path in out.iterdir()} - {*names, _NEW}):
            raise SettingsError(f"{out} holds {others[0]}, which is no file of an export: name another folder")
        new = out / _NEW
        new.mkdir(exist_ok=True)
        files = tuple(file for table in TABLES for file in write_table(new, table, contents.tables[table.name]))
        written = replace(contents, files=files)
        for name, describe in described.items():
            replace_file(new / name, describe(written))
        for name in names:
            (new / name).replace(out / name)
        sync(out)
        shutil.rmtree(new)
    except OSError as error:
        raise SettingsError(f"{out} cannot be written: {error.strerror}") from error
    return names


def _register(archive: ArchivedEvidence, number: Indicator, directory: Path | None) -> Register:
    if directory is None:
        return archive.register_of([number])
    register = load_register(directory)
    if register.register_version != number.register_version:
        raise SettingsError(
            f"{directory} is register {register.register_version[:12]}, and the numbers are of "
            f"{number.register_version[:12]}: name a register that requires the same inquiries"
        )
    return register


def _structures(archive: ArchivedEvidence, register: Register, number: Indicator) -> tuple[Structure, ...]:
    """Return the structure as of a published number, from the evidence behind it."""
    end_slot, sequence = Calendar.of(register.policy).slot_of(number.as_of), number.evidence_sequence
    evidence = archive.evidence(register, end_slot=end_slot, sequence=sequence)
    return network(register, score_evidence(register, evidence, at=number.as_of, evidence_sequence=sequence))
