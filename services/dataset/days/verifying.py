"""Verifies a dataset from its files and the public key of its log alone (docs/archive.md §4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

import pyarrow as pa

from services.core.errors import Fault, StateError
from services.dataset.days.history import LogFiles, leaf_name
from services.dataset.days.key_change import KeyChange, KeyChangeError, key_of_log
from services.dataset.days.manifest import SealedFile, read_leaf
from services.dataset.log import Checkpoint, VerifierKey, leaf_hash, root
from services.dataset.storage import Storage
from services.dataset.tables import KINDS, content_hash, read


def verify(
    storage: Storage, key: VerifierKey | None, *, progress: Callable[[str], None] = lambda _: None
) -> list[Fault]:
    """Return all faults; none if everything is as it was sealed.

    ``key`` is the first key of the log, or a later one. Without it, neither the signature nor the changes of the key are
    verified, and only contradictions within the dataset are found. ``progress`` is called with each day before its files are read.
    """
    log = LogFiles(storage)
    try:
        leaves, checkpoint = log.read()
    except StateError as error:
        return [Fault("log", 0, 0, str(error))]
    return sorted({*_log_faults(leaves, checkpoint, key), *_day_faults(storage, leaves, progress)})


def _log_faults(leaves: Sequence[bytes], checkpoint: Checkpoint | None, key: VerifierKey | None) -> Iterator[Fault]:
    where = "log/checkpoint"
    if checkpoint is None:
        if leaves:
            yield Fault(where, 0, 0, f"there is none over the {len(leaves)} leaves of the log")
        return
    if checkpoint.size != len(leaves):
        yield Fault(where, 0, 0, f"it is of {checkpoint.size} leaves, and the log has {len(leaves)}")
    elif checkpoint.root != root([leaf_hash(leaf) for leaf in leaves]):
        yield Fault(where, 0, 0, "its root is not that of the leaves: a leaf was changed")
    if key is None:
        return
    try:
        key = key_of_log(leaves[: checkpoint.size], key)
        if not checkpoint.is_signed_by(key):
            yield Fault(where, 0, 0, f"the key of {key.name} with id {key.id.hex()} has not signed it")
    except KeyChangeError as error:
        yield Fault(leaf_name(error.index), 0, 0, str(error))
    except ValueError as error:
        yield Fault(where, 0, 0, str(error))


def _day_faults(storage: Storage, leaves: Sequence[bytes], progress: Callable[[str], None]) -> Iterator[Fault]:
    named: set[str] = set()
    before = ""
    for number, leaf in enumerate(leaves):
        where = leaf_name(number)
        try:
            manifest = read_leaf(leaf)
        except ValueError as error:
            yield Fault(where, 0, 0, str(error))
            continue
        if isinstance(manifest, KeyChange):
            continue
        progress(manifest.day)
        if manifest.day <= before:
            yield Fault(where, 0, 0, "its day is not after that of the leaf before")
        before = max(before, manifest.day)
        for file in manifest.files:
            if file.path in named:
                yield Fault(where, 0, 0, f"{file.path} is of an earlier leaf")
            named.add(file.path)
            yield from _verify_file(storage, file)
    for name in storage.names("sealed"):
        if name not in named:
            yield Fault(name, 0, 0, "no leaf of the log names it")


def _verify_file(storage: Storage, file: SealedFile) -> Iterator[Fault]:
    """Yield the faults of one sealed file."""
    try:
        table = _sealed_rows(storage, file)
        if (table.num_rows, content_hash(table, KINDS[file.kind])) != (file.rows, file.content):
            yield Fault(file.path, 0, 0, "its rows are not those that the manifest describes")
    except (StateError, ValueError) as error:
        yield Fault(file.path, 0, 0, str(error))


def read_sealed(storage: Storage, file: SealedFile, names: Sequence[str] = ()) -> pa.Table:
    """Return the rows of a sealed file, with the named columns or all.

    Raises StateError when its bytes are not those that were sealed.
    """
    try:
        return _sealed_rows(storage, file, names)
    except ValueError as error:
        raise StateError(f"{file.path} in {storage.address} cannot be used: {error}") from error


def _sealed_rows(storage: Storage, file: SealedFile, names: Sequence[str] = ()) -> pa.Table:
    """Do as ``read_sealed``, but raise ValueError for wrong content."""
    if file.kind not in KINDS:
        raise ValueError(f"its kind {file.kind!r} is not known to this version")
    data = storage.read(file.path)
    if (len(data), sha256(data).hexdigest()) != (file.size, file.sha256):
        raise ValueError("its bytes are not those that were sealed")
    return read(data, KINDS[file.kind], names)
