"""Closed days as files: compressed stages, memory-mapped, so that the kernel can evict cold pages."""

from __future__ import annotations

import io
import mmap
import struct
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np

from services.indicator.cells import DayState
from services.scorer.state.damage import damaged

# A member of a zip begins with a header of 30 bytes, which ends with the lengths of the name and of the extra field after it.
_HEADER = struct.Struct("<26xHH")


def path_of(folder: Path, day: date) -> Path:
    """Return the path of a day's file."""
    return folder / f"{day.isoformat()}.npz"


def archive(state: DayState) -> bytes:
    """Return the content of a day's file: a numpy archive with ``shape`` and ``stages``."""
    buffer = io.BytesIO()
    np.savez(buffer, shape=np.array(state.shape, dtype=np.int64), stages=np.frombuffer(state.stages, dtype=np.uint8))
    return buffer.getvalue()


def map_days(folder: Path) -> Iterator[DayState]:
    """Yield the days that have a file, in order. Raises StateError when one cannot be used."""
    for path in sorted(folder.glob("*.npz")):
        yield map_day(path)


def map_day(path: Path) -> DayState:
    """Return the day in a file, its stages as a view of it: files are replaced, never changed. Raises StateError, OSError."""
    try:
        with path.open("rb") as file, ZipFile(file) as content:
            vantages, targets, slots = np.load(io.BytesIO(content.read("shape.npy")), allow_pickle=False).tolist()
            return DayState(date.fromisoformat(path.stem), (vantages, targets, slots), _stages(file, content))
    except (KeyError, ValueError, EOFError, BadZipFile, struct.error) as error:
        raise damaged(path) from error


def _stages(file: io.BufferedReader, content: ZipFile) -> memoryview:
    member = content.getinfo("stages.npy")
    if member.compress_type != ZIP_STORED:
        raise ValueError("a compressed member")
    content.read(member)  # as a whole, which verifies its checksum
    file.seek(member.header_offset)
    name, extra = _HEADER.unpack(file.read(_HEADER.size))
    file.seek(name + extra, io.SEEK_CUR)
    np.lib.format.read_magic(file)
    (size,), _, kind = np.lib.format.read_array_header_1_0(file)
    if kind != np.uint8:
        raise ValueError("stages that are not bytes")
    start = file.tell()
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))[start : start + size]
