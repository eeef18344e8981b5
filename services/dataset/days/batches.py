"""Accounts for the batches of a day: what was lost, replaced or inserted between probers and the archive (docs/archive.md §3).

All runs are counted at once, as arrays, since somebody with a prober's seed may begin one with every batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

import numpy as np
import pyarrow as pa

from services.dataset.days.batch_rows import BatchRows, Ints, Mask, Part, lowest
from services.dataset.days.days import EvidenceDays
from services.dataset.days.manifest import BatchRun, Manifest
from services.dataset.days.segments import list_segments, read_segments
from services.dataset.storage import Storage
from services.dataset.tables import BATCH, MICROS

_NAMED_RUNS: Final = 100
"""Runs of a vantage that a manifest names, those with faults first: a prober begins a few a day."""
_NAMED_NUMBERS: Final = 20
"""Numbers that a manifest names of each fault of a run; all of them are counted."""

RunKey = tuple[str, str, str]
"""The vantage, the prober and its run."""


def last_runs(manifests: Iterable[Manifest]) -> dict[RunKey, BatchRun] | None:
    """Return of each run the account that came furthest; None where no day was accounted for."""
    found: dict[RunKey, BatchRun] | None = None
    for manifest in manifests:
        if manifest.runs is not None:
            found = found or {}
            for run in manifest.runs:
                key = _key(run)
                if key not in found or found[key].last <= run.last:
                    found[key] = run
    return found


def run_faults(manifest: Manifest) -> list[str]:
    """Return a sentence for each run of a day with faults."""
    return [f"{manifest.day}: {_sentence(run)}" for run in manifest.runs or () if any(run.faults().values())]


def account_of_day(
    storage: Storage, days: EvidenceDays, day: str, sealed: Sequence[Manifest]
) -> tuple[tuple[BatchRun, ...] | None, int]:
    """Return the runs of a day, and how many are left out; None where no batch was stored on it. Raises StateError.

    What was stored while the day still took rows may complete it: a prober sends several batches at once.
    """
    before = max((manifest.day for manifest in sealed), default="")
    end, closed = days.span(day).stop, days.closes(day)
    start, opened = (days.span(before).stop, days.closes(before)) if before else (0, 0.0)
    segments = [one for one in list_segments(storage, BATCH) if one.day <= days.day_of(closed)]
    by_day = groupby(segments, key=lambda one: one.day)
    table = _as_they_came(part for _, of_day in by_day for part in read_segments(storage, BATCH, list(of_day)))
    stored = table["stored"].cast(pa.int64()).to_numpy() / MICROS
    part = np.digitize(stored, [start, min(opened, end), end]).astype(np.int64)
    if not np.isin(part, (Part.OVERLAP, Part.DAY)).any():
        return None, 0
    in_time = stored < closed
    return account(table.filter(pa.array(in_time)), part[in_time], last_runs(sealed))


def drop_batches_before(storage: Storage, day: str) -> None:
    """Remove the batches of days before one that is sealed; its own stay, so that one that comes again is known by its hash."""
    for segment in list_segments(storage, BATCH):
        if segment.day < day:
            storage.remove(segment.name)


def account(table: pa.Table, part: Ints, known: Mapping[RunKey, BatchRun] | None) -> tuple[tuple[BatchRun, ...], int]:
    """Return the runs of a day out of batches (n,) stored in each ``part`` (n,), and how many runs are left out.

    ``known`` is what earlier days say of each run; without it nothing is said of numbers before the first that came.
    """
    keys, run = _runs(table)
    rows = BatchRows.of(
        table, run, part, [(place, known[key]) for place, key in enumerate(keys) if known and key in known]
    )
    floor = np.zeros(len(keys), np.int64)
    mine = rows.first & rows.is_of_day
    if known is None:
        floor = lowest(rows.run[mine], rows.number[mine], len(keys)) - 1
    else:
        floor[:] = [known[key].last if key in known else 0 for key in keys]
    last = np.zeros(len(keys), np.int64)
    np.maximum.at(last, rows.run[mine], rows.number[mine])
    faults = {"missing": rows.holes(floor, last), "belated": rows.belated(floor), "forked": rows.forks(),
              "broken": rows.breaks()}  # fmt: skip
    counts = {name: np.bincount(found.run, found.count, len(keys)).astype(np.int64) for name, found in faults.items()}
    first_sequence, last_sequence = rows.sequences(len(keys))
    parallel = _parallel(keys, first_sequence, last_sequence)
    repeated = np.bincount(rows.run[~rows.first & rows.is_of_day], minlength=len(keys))
    batches = np.bincount(rows.run[mine], minlength=len(keys))
    faulty = parallel | np.any([values > 0 for values in counts.values()], axis=0)
    named, left_out = _named(keys, batches + repeated, faulty, first_sequence)
    heads, firsts = rows.heads(last), lowest(rows.run[mine], rows.number[mine], len(keys))
    runs = [
        BatchRun(
            *keys[place],
            batches=int(batches[place]),
            first=int(firsts[place]),
            last=int(last[place]),
            head=heads.get(place, ""),
            repeated=int(repeated[place]),
            missing=int(counts["missing"][place]),
            belated=int(counts["belated"][place]),
            forked=int(counts["forked"][place]),
            broken=int(counts["broken"][place]),
            parallel=bool(parallel[place]),
            holes=tuple(faults["missing"].of(place, limit=_NAMED_NUMBERS)),
            forks=tuple(number for number, _ in faults["forked"].of(place, limit=_NAMED_NUMBERS)),
            breaks=tuple(number for number, _ in faults["broken"].of(place, limit=_NAMED_NUMBERS)),
        )
        for place in named
    ]
    return tuple(runs), left_out


def _key(run: BatchRun) -> RunKey:
    return run.vantage, run.prober, run.run


def _as_they_came(parts: Iterable[pa.Table]) -> pa.Table:
    """Return the rows of all parts with new sequences: a stream that begins again gives its own once more."""
    table = pa.concat_tables([BATCH.schema.empty_table(), *parts]).combine_chunks()
    place = BATCH.schema.get_field_index("sequence")
    return table.set_column(place, "sequence", pa.array(np.arange(table.num_rows)))


def _runs(table: pa.Table) -> tuple[list[RunKey], Ints]:
    """Return each run once, sorted, and its place for each row."""
    columns = [table[name].unify_dictionaries().combine_chunks() for name in ("vantage", "prober", "run")]
    codes, row = np.unique(np.stack([one.indices.to_numpy() for one in columns], 1), axis=0, return_inverse=True)
    texts = [one.dictionary.to_pylist() for one in columns]
    keys = [(texts[0][vantage], texts[1][prober], texts[2][run]) for vantage, prober, run in codes.tolist()]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    rank = np.empty(len(keys), np.int64)
    rank[order] = np.arange(len(keys))
    return [keys[place] for place in order], rank[row.reshape(-1)]


def _parallel(keys: list[RunKey], first: Ints, last: Ints) -> Mask:
    """Mark runs whose first batch came before the last one of a run that the same prober had begun earlier."""
    marked = np.zeros(len(keys), bool)
    began = sorted(
        (place for place in range(len(keys)) if last[place] >= 0), key=lambda one: (keys[one][:2], first[one])
    )
    for _, places in groupby(began, key=lambda one: keys[one][:2]):
        end = -1
        for place in places:
            marked[place] = first[place] < end
            end = max(end, int(last[place]))
    return marked


def _named(keys: list[RunKey], batches: Ints, faulty: Mask, sequence: Ints) -> tuple[list[int], int]:
    """Return the places of the runs to name: of each vantage those with faults first, and the latest of the others."""
    mine = [place for place in range(len(keys)) if batches[place]]
    named: list[int] = []
    for _, places in groupby(mine, key=lambda one: keys[one][0]):
        named += sorted(places, key=lambda one: (not faulty[one], -sequence[one]))[:_NAMED_RUNS]
    return sorted(named), len(mine) - len(named)


def _sentence(run: BatchRun) -> str:
    """Say what is wrong with a run."""
    holes = [str(first) if first == last else f"{first}-{last}" for first, last in run.holes]
    said = [
        *([_listed(run.missing, "missing", holes)] if run.missing else []),
        *([f"{run.belated} came after the day that missed them"] if run.belated else []),
        *([_listed(run.forked, "there with different content", map(str, run.forks))] if run.forked else []),
        *([_listed(run.broken, "not after the batch before", map(str, run.breaks))] if run.broken else []),
        *(["it began before another run had ended"] if run.parallel else []),
    ]
    name = f"run {run.run}" if run.run else "batches without a number"
    return f"{name} of prober {run.prober!r} at vantage {run.vantage!r}: {'; '.join(said)}"


def _listed(count: int, what: str, numbers: Iterable[str]) -> str:
    named = list(numbers)
    more = ", …" if len(named) == _NAMED_NUMBERS else ""
    return f"{count} {what} ({', '.join(named)}{more})"
