"""The registers of a dataset: the rows of each version that was in force, as compressed JSON (docs/archive.md §2)."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import pyarrow as pa

from services.core.errors import StateError
from services.dataset.storage import Storage

_FOLDER: Final = "register"
_SUFFIX: Final = ".json.zst"
_LEVEL: Final = 9
"""Level 19 would save an eighth of a file of 46 KB, but take 22 MiB more."""


def write_register(storage: Storage, versions: str, content: bytes) -> None:
    """Write the rows of a register, unless the same rows are stored. Raises StateError.

    ``versions`` is register_version.probe_version. Some rows, such as objections, are in neither version: those of the
    last register remain.
    """
    if versions in register_versions(storage):
        with suppress(StateError):  # what cannot be read is written again
            if read_register(storage, versions) == content:
                return
    compressed = pa.Codec("zstd", compression_level=_LEVEL).compress(content, asbytes=True)
    storage.write(_name(versions), compressed)


def register_versions(storage: Storage) -> list[str]:
    """Return the versions of all registers in the dataset. Raises StateError."""
    names = (name.removeprefix(f"{_FOLDER}/") for name in storage.names(_FOLDER))
    return [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]


def read_register(storage: Storage, versions: str) -> bytes:
    """Return the rows of a register. Raises StateError when it is missing or damaged."""
    name = _name(versions)
    try:
        with pa.CompressedInputStream(pa.BufferReader(storage.read(name)), "zstd") as stream:
            content: bytes = stream.read()
    except OSError as error:
        raise StateError(f"{name} in {storage.address} is damaged: {error}") from error
    return content


def _name(versions: str) -> str:
    return f"{_FOLDER}/{versions}{_SUFFIX}"
