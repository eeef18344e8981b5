"""The days of links and endpoints as rows of a table, and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.core.model import STAGES, Target
from services.dataset.tables.rows import MICROS, codes_of, texts_of
from services.dataset.tables.schemas import LINK_DAY, MOMENT

COUNTED: Final = ("link", "endpoint", "vantage", "slots", "stages")
"""The columns that ``stages_of`` needs."""


def link_day_table(
    targets: Sequence[Target], vantages: Sequence[str], stages: NDArray[np.int8], *, start: int
) -> pa.Table:
    """Return one row for each target and vantage with a known slot; the day starts at ``start``, in epoch seconds.

    ``stages`` are (vantages, targets, slots), -1 = unknown.
    """
    vantage, target = np.nonzero((stages >= 0).any(axis=2))
    rows = stages[vantage, target]
    names = pa.array([one.id for one in targets], pa.string())
    is_endpoint = np.array([one.endpoint for one in targets], bool)[target]
    columns = [
        pa.DictionaryArray.from_arrays(pa.array(target.astype(np.int32), mask=is_endpoint), names),
        pa.DictionaryArray.from_arrays(pa.array(target.astype(np.int32), mask=~is_endpoint), names),
        pa.DictionaryArray.from_arrays(pa.array(vantage.astype(np.int32)), pa.array(vantages, pa.string())),
        pa.array(np.full(len(rows), start * MICROS, np.int64)).cast(MOMENT),
        pa.array(np.full(len(rows), stages.shape[2], np.int64)),
        *(pa.array((rows == stage).sum(axis=1)) for stage in range(len(STAGES))),
        pa.array([row.tobytes() for row in rows], pa.binary()),
    ]
    return pa.table(columns, schema=LINK_DAY.schema)


def stages_of(table: pa.Table) -> tuple[tuple[Target, ...], tuple[str, ...], NDArray[np.int8]]:
    """Return targets, vantages and stages (vantages, targets, slots) of a table of one day.

    The table needs the columns ``COUNTED``. Raises ValueError when it is not of one day.
    """
    table = table.combine_chunks()
    link, endpoint, vantage = (codes_of(table[name]) for name in ("link", "endpoint", "vantage"))
    links, endpoints, vantages = (texts_of(table[name]) for name in ("link", "endpoint", "vantage"))
    owners = _targets(tuple(links), tuple(endpoints))
    used, place = np.unique(np.where(link < 0, endpoint + len(links), link), return_inverse=True)
    slots = pc.unique(table["slots"]).to_pylist() or [0]
    if len(slots) > 1:
        raise ValueError("rows of days of several lengths")
    stages = np.full((len(vantages), len(used), *slots), -1, np.int8)
    for rows in table["stages"].cast(pa.binary(*slots)).chunks:  # one, if there are rows
        content = np.frombuffer(rows.buffers()[1], np.int8).reshape(-1, *slots)
        stages[vantage, place] = content[rows.offset :][: len(rows)]
    targets = owners if len(used) == len(owners) else tuple(owners[number] for number in used.tolist())
    return targets, tuple(vantages), stages


@lru_cache(maxsize=2)
def _targets(links: tuple[str, ...], endpoints: tuple[str, ...]) -> tuple[Target, ...]:
    """Return targets by their names.

    Consecutive days have the same targets, and the same object need not be looked up again.
    """
    return (*map(Target, links), *(Target(name, endpoint=True) for name in endpoints))
