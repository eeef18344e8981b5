"""Accounts for the batches of a day: what was lost, replaced or inserted between probers and the archive (docs/archive.md §3).

All runs are counted at once, as arrays, since somebody with a prober's seed may begin a new run with every batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

import numpy as np
import pyarrow as pa

from services.dataset.days.batch_chains import BatchChains, Ints, Mask, Part, meeting
from services.dataset.days.batch_rows import BatchRows, NumberRanges, lowest
from services.dataset.days.days import EvidenceDays
from services.dataset.days.manifest import BatchRun, Manifest
from services.dataset.days.segments import list_segments, read_segments
from services.dataset.storage import Storage
from services.dataset.tables import BATCH, MICROS

_NAMED_RUNS: Final = 100
"""The most runs of a vantage that a manifest names, those with faults first: a prober begins a few per day."""
_NAMED_NUMBERS: Final = 20
"""The most numbers that a manifest names for each fault of a run; all of them are counted."""
_MOST_ROWS: Final = 1 << 32
"""More rows than a segment has."""

RunKey = tuple[str, str, str]
"""The vantage, the prober and its run."""


def last_runs(manifests: Iterable[Manifest]) -> dict[RunKey, BatchRun] | None:
    """Return the account of each run that reaches furthest; None where no day was accounted for."""
    found: dict[RunKey, BatchRun] | None = None
    for manifest in manifests:
        if manifest.runs is not None:
            found = found or {}
            for run in manifest.runs:
                key = _key(run)
                if key not in found or found[key].last <= run.last:
                    found[key] = run
    return found


def missed_numbers(manifests: Iterable[Manifest], keys: Sequence[RunKey]) -> NumberRanges:
    """Return the numbers that sealed days name as missing; ``keys`` are the runs to look at, sorted."""
    places = {key: place for place, key in enumerate(keys)}
    runs = (run for manifest in manifests for run in manifest.runs or () if _key(run) in places)
    holes = sorted({(places[_key(run)], *hole) for run in runs for hole in run.holes})
    return NumberRanges(*np.array(holes, np.int64).reshape(-1, 3).T)


def run_faults(manifest: Manifest) -> list[str]:
    """Return a sentence for each run of a day with faults."""
    return [f"{manifest.day}: {_sentence(run)}" for run in manifest.runs or () if any(run.faults().values())]


def account_of_day(
    storage: Storage, days: EvidenceDays, day: str, sealed: Sequence[Manifest]
) -> tuple[tuple[BatchRun, ...] | None, int]:
    """Return the runs of a day, and how many are left out; None where no batch was stored on it. Raises StateError.

    Batches that were stored while the day still took rows may complete it: a prober sends several batches at once.
    """
    before = max((manifest.day for manifest in sealed), default="")
    end, closed = days.span(day).stop, days.closes(day)
    start = days.span(before).stop if before else 0
    segments = [one for one in list_segments(storage, BATCH) if one.day <= days.day_of(closed)]
    known, places = last_runs(sealed), dict[RunKey, int]()

    def batches(number: int, table: pa.Table) -> BatchChains:
        # By when they came, not by sequence: a stream that begins again repeats its sequences.
        came = (number + 1) * _MOST_ROWS + np.arange(table.num_rows)
        stored = table["stored"].cast(pa.int64()).to_numpy() / MICROS
        part = np.digitize(stored, [start, end]).astype(np.int64)
        return BatchChains.of(table, _runs(table, places), part, came).take(stored < closed)

    by_day = groupby(segments, key=lambda one: one.day)
    tables = (table for _, of_day in by_day for table in read_segments(storage, BATCH, list(of_day)))
    found = [batches(number, table).condensed() for number, table in enumerate(tables)]
    heads = BatchChains.heads([(place, known[key]) for key, place in places.items() if known and key in known])
    for number in meeting([*found, heads]):
        (table,) = read_segments(storage, BATCH, [segments[number]])
        found[number] = batches(number, table)
    if not any((one.part == Part.DAY).any() for one in found):
        return None, 0
    keys = sorted(places)
    ranks = np.empty(len(keys), np.int64)
    ranks[[places[key] for key in keys]] = np.arange(len(keys))
    batches_of_day = BatchRows(BatchChains.joined([one.renumbered(ranks) for one in (*found, heads)]))
    return _account(keys, batches_of_day, known, _left_out(keys, sealed), missed_numbers(sealed, keys))


def drop_batches_before(storage: Storage, day: str) -> None:
    """Remove the batches of days before a sealed day.

    Those of the day itself stay, so that a batch that comes again is recognised by its hash.
    """
    for segment in list_segments(storage, BATCH):
        if segment.day < day:
            storage.remove(segment.name)


def _account(
    keys: list[RunKey],
    batches: BatchRows,
    known: Mapping[RunKey, BatchRun] | None,
    left_out: Mask,
    missed: NumberRanges,
) -> tuple[tuple[BatchRun, ...], int]:
    """Return the runs of a day, and how many are left out.

    ``known`` has the accounts of earlier days, by run; without it, numbers before the first that came are not judged.
    Likewise for runs that an earlier day may have ``left_out``: it may have had those numbers.
    ``missed`` are the numbers that earlier days lack.
    """
    floor = np.zeros(len(keys), np.int64)
    mine = batches.rows.take(batches.first & batches.is_of_day)
    if known is None:
        floor = lowest(mine.run, mine.begin, len(keys)) - 1
    else:
        floor[:] = [known[key].last if key in known else 0 for key in keys]
        above = batches.rows.take(batches.rows.end > floor[batches.rows.run])
        floor = np.where(left_out, np.maximum(floor, lowest(above.run, above.begin, len(keys)) - 1), floor)
    last = np.zeros(len(keys), np.int64)
    np.maximum.at(last, mine.run, mine.end)
    faults = {"missing": batches.holes(floor, last), "belated": batches.belated(missed), "forked": batches.forks(),
              "broken": batches.breaks()}  # fmt: skip
    counts = {name: np.bincount(found.run, found.count, len(keys)).astype(np.int64) for name, found in faults.items()}
    first_came, last_came = batches.came(len(keys))
    parallel = _parallel(keys, first_came, last_came)
    repeated = np.bincount(batches.rows.run[~batches.first & batches.is_of_day], minlength=len(keys))
    came = np.bincount(mine.run, mine.count, len(keys)).astype(np.int64)
    faulty = parallel | np.any([values > 0 for values in counts.values()], axis=0)
    named, more = _named(keys, came + repeated, faulty, last_came)
    heads, firsts = batches.heads(last), lowest(mine.run, mine.begin, len(keys))
    runs = [
        BatchRun(
            *keys[place],
            batches=int(came[place]),
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
    return tuple(runs), more


def _key(run: BatchRun) -> RunKey:
    return run.vantage, run.prober, run.run


def _left_out(keys: list[RunKey], manifests: Sequence[Manifest]) -> Mask:
    """Mark runs that a day may have left out after the last day that named them: their last number is unknown."""
    named, full = dict[RunKey, int](), dict[str, int]()
    for number, manifest in enumerate(manifests, 1):
        vantages = Counter(run.vantage for run in manifest.runs or ())
        named.update((_key(run), number) for run in manifest.runs or ())
        if manifest.more_runs:
            full.update((vantage, number) for vantage, count in vantages.items() if count >= _NAMED_RUNS)
    return np.array([full.get(key[0], 0) > named.get(key, 0) for key in keys], bool)


def _runs(table: pa.Table, places: dict[RunKey, int]) -> Ints:
    """Return the place of the run of each row; new runs are added to ``places``."""
    if not table.num_rows:
        return np.zeros(0, np.int64)
    columns = [table[name].unify_dictionaries().combine_chunks() for name in ("vantage", "prober", "run")]
    codes, row = np.unique(np.stack([one.indices.to_numpy() for one in columns], 1), axis=0, return_inverse=True)
    texts = [one.dictionary.to_pylist() for one in columns]
    keys = [(texts[0][vantage], texts[1][prober], texts[2][run]) for vantage, prober, run in codes.tolist()]
    return np.array([places.setdefault(key, len(places)) for key in keys], np.int64)[row.reshape(-1)]


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


def _named(keys: list[RunKey], batches: Ints, faulty: Mask, came: Ints) -> tuple[list[int], int]:
    """Return the places of the runs to name, and how many are left out.

    Of each vantage, runs with faults are named first, then those whose last batch came latest: they may go on.
    """
    mine = [place for place in range(len(keys)) if batches[place]]
    named: list[int] = []
    for _, places in groupby(mine, key=lambda one: keys[one][0]):
        named += sorted(places, key=lambda one: (not faulty[one], -came[one]))[:_NAMED_RUNS]
    return sorted(named), len(mine) - len(named)


def _sentence(run: BatchRun) -> str:
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
