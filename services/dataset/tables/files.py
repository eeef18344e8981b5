"""Parquet files whose bytes depend on their rows alone: sorted, with one encoding for each column."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from io import BytesIO
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from services.dataset.tables.schemas import Kind

_ROWS_PER_GROUP: Final = 1 << 20
_COMPRESSION, _LEVEL = "zstd", 9


def sorted_rows(tables: Sequence[pa.Table], kind: Kind) -> pa.Table:
    """Return the rows of all tables in the order of their kind; rows that are equal in it keep their order."""
    table = pa.concat_tables([kind.schema.empty_table(), *tables]).combine_chunks().unify_dictionaries()
    keys = [_key(table[name]) for name in kind.order]
    return table.take(pa.array(np.lexsort([np.arange(table.num_rows), *reversed(keys)])))


def last_of_each(table: pa.Table, *names: str) -> pa.Array:
    """Return a mask of the last of each group of consecutive rows with the same values: messages may be repeated."""
    same = np.ones(max(0, table.num_rows - 1), bool)
    for name in names:
        column = table[name].combine_chunks()
        values = (column.indices if pa.types.is_dictionary(column.type) else column).to_numpy()
        same &= values[1:] == values[:-1]
    return pa.array(np.append(~same, True))


def write(table: pa.Table, kind: Kind, *, checksums: bool = False) -> bytes:
    """Return a Parquet file of rows in the order given.

    ``checksums`` adds checksums of its pages, for a file that no other checksum protects.
    """
    plain = [
        field.name for field in kind.schema if pa.types.is_integer(field.type) or pa.types.is_timestamp(field.type)
    ]
    named = [field.name for field in kind.schema if pa.types.is_dictionary(field.type)]
    few = [f"{field.name}.list.element" for field in kind.schema if pa.types.is_fixed_size_list(field.type)]
    target = BytesIO()
    pq.write_table(
        _texts_sorted(table, kind),
        target,
        row_group_size=_ROWS_PER_GROUP,
        compression=_COMPRESSION,
        compression_level=_LEVEL,
        use_dictionary=[*named, *few],  # counts by bucket have few values: a quarter less than plain
        column_encoding=dict.fromkeys(plain, "DELTA_BINARY_PACKED"),
        store_schema=False,
        write_statistics=True,
        data_page_version="2.0",
        version="2.6",
        write_page_checksum=checksums,
    )
    return target.getvalue()


def read(content: bytes, kind: Kind, names: Sequence[str] = ()) -> pa.Table:
    """Return the rows of a file, with the named columns or all. Raises ValueError when it is not one of this kind."""
    schema = pa.schema([kind.schema.field(name) for name in names]) if names else kind.schema
    try:
        file = pq.ParquetFile(
            BytesIO(content),
            read_dictionary=[field.name for field in schema if pa.types.is_dictionary(field.type)],
            page_checksum_verification=True,
        )
        table = file.read(columns=schema.names)
        for name in schema.names:
            if name in kind.added and name not in table.column_names:
                table = table.append_column(schema.field(name), pa.nulls(table.num_rows, schema.field(name).type))
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, KeyError, OSError) as error:
        raise ValueError(f"not a Parquet file of {kind.name}s: {error}") from error


def content_hash(table: pa.Table, kind: Kind) -> str:
    """Return the SHA-256 of the rows themselves, in hex, whatever wrote their file (docs/archive.md §2).

    The hash covers each column in the order of the schema: its name and a line feed, then its content. A column of
    texts gives each distinct text in sorted order with a line feed, then for each row the 32-bit number of its text. A
    column of bytes gives all lengths, 64 bits each, then all bytes. Any other column gives its values, 64 bits each.
    Integers are little-endian, moments are microseconds, and -1 stands for an unset value. A column that was added
    later is left out where all of it is unset, as in older files.
    """
    digest = sha256()
    for field in kind.schema:
        column = table[field.name]
        if field.name in kind.added and column.null_count == len(column):
            continue
        digest.update(field.name.encode() + b"\n")
        if pa.types.is_binary(field.type):
            digest.update(pc.binary_length(column).to_numpy().astype("<i8").tobytes())
            digest.update(b"".join(column.to_pylist()))
        elif pa.types.is_dictionary(field.type):
            texts, codes = _numbered_texts(column)
            digest.update(b"".join(text.encode() + b"\n" for text in texts.to_pylist()))
            digest.update(codes.astype("<i4").tobytes())
        else:
            digest.update(_values(column))
    return digest.hexdigest()


def same_rows(content: bytes, other: bytes, kind: Kind) -> bool:
    """Return whether two files have the same columns and, to the last bit, the same rows, whatever wrote them.

    False if one of them is no file of this kind.
    """
    try:
        return _rows_of(content, kind) == _rows_of(other, kind)
    except ValueError:
        return False


def _rows_of(content: bytes, kind: Kind) -> tuple[list[str], int, list[int], str]:
    """Return what two files with the same rows have in common: columns, rows, unset values and a hash of all values."""
    table = read(content, kind)
    names = pq.ParquetFile(BytesIO(content)).schema_arrow.names
    # The hash is the same for an unset fraction and one that is no number.
    return names, table.num_rows, [column.null_count for column in table.columns], content_hash(table, kind)


def _values(column: pa.ChunkedArray) -> bytes:
    """Return the values of a column of numbers, 64 bits each."""
    if pa.types.is_fixed_size_list(column.type):
        column = pc.list_flatten(column)
    if pa.types.is_floating(column.type):
        return bytes(column.to_numpy().astype("<f8").tobytes())
    return bytes(pc.fill_null(column.cast(pa.int64()), -1).to_numpy().astype("<i8").tobytes())


def _numbered_texts(column: pa.ChunkedArray) -> tuple[pa.Array, NDArray[np.int32]]:
    """Return the distinct texts of a column in the order of their bytes, and the number of each row's text; -1 for none."""
    coded = column.unify_dictionaries().combine_chunks()
    # Only texts are compared, never rows: many rows may share one long text.
    texts = pc.unique(coded.dictionary.take(pc.unique(coded.indices).drop_null()).drop_null()).sort()
    codes = pc.index_in(coded.dictionary, texts).take(coded.indices)
    return texts, pc.fill_null(codes, -1).to_numpy(zero_copy_only=False).astype(np.int32)


def _key(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return integers that sort as the values of a column do, null first."""
    if pa.types.is_dictionary(column.type):
        return _numbered_texts(column)[1].astype(np.int64)
    return np.asarray(pc.fill_null(column.cast(pa.int64()), -1).to_numpy(), np.int64)


def _texts_sorted(table: pa.Table, kind: Kind) -> pa.Table:
    """Number the texts of each column in sorted order, so that no history of a dictionary reaches the file."""
    columns = []
    for field in kind.schema:
        column = table[field.name]
        if pa.types.is_dictionary(field.type):
            texts, codes = _numbered_texts(column)
            column = pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), texts)
        columns.append(column)
    return pa.table(columns, schema=kind.schema)
