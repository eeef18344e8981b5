"""Cuts the rows of a day into shards, so that sealing holds one of them at a time (docs/archive.md §2)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.core.errors import StateError
from services.dataset.tables import Kind, sorted_rows

_PARTS: Final = 256
"""The number of files in which rows wait. A shard takes one or more of them, so a day has at most as many shards."""

_SHARD_ROWS: Final = 1 << 16
"""Up to so many rows are one shard. Sorting and writing them takes some 70 MiB."""

_HELD_ROWS: Final = 1 << 17
"""Rows that wait in memory before they go to files. With half as many, it would take half as long again."""

_FEW_TEXTS: Final = 64
"""Writing up to so many texts takes less time than leaving out those that a part does not use."""

_IPC: Final = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)


class Shards:
    """Rows of one kind of a day. If they are many, they wait in a folder of this host until all have come."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        self._kind = kind
        self._folder = folder
        self._held: list[pa.Table] = []
        self._held_rows = self._written_rows = 0

    def add(self, table: pa.Table) -> None:
        """Add rows. Raises StateError when the folder cannot be written."""
        self._held.append(table)
        self._held_rows += table.num_rows
        if self._held_rows > _HELD_ROWS:
            self._write()

    def take(self) -> Iterator[tuple[int, pa.Table]]:
        """Yield the number and the rows of each shard that has rows, in order; they are gone afterwards.

        Rows are sorted; those that are equal in the order of their kind keep the order in which they came. Raises
        StateError.
        """
        if not self._written_rows and self._held_rows <= _SHARD_ROWS:
            if self._held_rows:
                yield 0, sorted_rows(self._held, self._kind)
            return
        self._write()
        shards = 1
        while shards < _PARTS and self._written_rows > shards * _SHARD_ROWS:
            shards *= 2
        for shard in range(shards):
            tables = [table for part in range(shard, _PARTS, shards) for table in self._read(part)]
            if tables:
                yield shard, sorted_rows(tables, self._kind)

    def _write(self) -> None:
        if not self._held_rows:
            return
        waiting, held, self._held, self._held_rows = self._held_rows, self._held, [], 0
        table = pa.concat_tables(held).combine_chunks().unify_dictionaries()
        del held  # which would be in memory twice
        part = part_of(table, self._kind)
        places = np.argsort(part, kind="stable")
        table, part = table.take(pa.array(places)).combine_chunks(), part[places]
        bounds = np.flatnonzero(np.diff(part, prepend=-1, append=_PARTS)).tolist()
        for first, last in pairwise(bounds):
            rows = _with_own_texts(table.slice(first, last - first))
            try:
                with (
                    self._file(int(part[first])).open("ab") as out,
                    pa.ipc.new_stream(out, rows.schema, options=_IPC) as to,
                ):
                    to.write_table(rows)
            except OSError as error:
                raise StateError(f"{self._folder} cannot be written, to sort a day: {error.strerror}") from error
        self._written_rows += waiting

    def _read(self, part: int) -> Iterator[pa.Table]:
        path = self._file(part)
        if not path.exists():
            return
        with pa.OSFile(str(path)) as file:
            while file.tell() < file.size():
                yield pa.ipc.open_stream(file).read_all()
        path.unlink()

    def _file(self, part: int) -> Path:
        return self._folder / f"{self._kind.name}-{part:03}"


def part_of(table: pa.Table, kind: Kind) -> NDArray[np.int64]:
    """Return the part (n,) of each row: the sum of the CRC-32 of its texts in ``kind.spread``, modulo the parts."""
    part = np.zeros(table.num_rows, np.int64)
    for name in kind.spread:
        texts = table[name].combine_chunks()
        of_text = np.array([crc32(text.encode()) for text in texts.dictionary.to_pylist()] + [0], np.int64)
        part += of_text[pc.fill_null(texts.indices, len(of_text) - 1).to_numpy()]
    return part % _PARTS


def _with_own_texts(table: pa.Table) -> pa.Table:
    """Return the rows with dictionaries that have only their own texts, or few texts."""
    columns = [_of_own_texts(one) if pa.types.is_dictionary(one.type) else one for one in table.itercolumns()]
    return pa.table(columns, schema=table.schema)


def _of_own_texts(column: pa.ChunkedArray) -> pa.DictionaryArray:
    encoded = column.combine_chunks()
    if len(encoded.dictionary) <= _FEW_TEXTS:
        return encoded
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    used, places = np.unique(codes, return_inverse=True)
    unset = int((used < 0).sum())
    indices = pa.array(places.astype(np.int32) - unset, mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, encoded.dictionary.take(pa.array(used[unset:])))
