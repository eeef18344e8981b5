"""Verifies a dataset from its files and the public key of its log alone (docs/archive.md §4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Final

import pyarrow as pa

from services.core.errors import Fault, StateError
from services.dataset.days.key_change import KeyChange, KeyChangeError, key_of_log
from services.dataset.days.log_files import LogFiles, leaf_name
from services.dataset.days.manifest import Manifest, SealedFile, read_leaf
from services.dataset.days.segments import list_segments
from services.dataset.log import Checkpoint, VerifierKey, leaf_hash, root
from services.dataset.storage import Storage
from services.dataset.tables import KINDS, STREAM_KINDS, content_hash, read

_DAY_OF_FILE: Final = re.compile(r"/day=([^/]+)/")


def verify(
    storage: Storage,
    key: VerifierKey | None,
    *,
    progress: Callable[[str], None] = lambda _: None,
    unfinished: Callable[[str], None] = lambda _: None,
) -> list[Fault]:
    """Return all faults; none if everything is as it was sealed.

    ``key`` is the first key of the log, or a later one. Without it, neither the signature nor the changes of the key are
    verified, and only contradictions within the dataset are found. ``progress`` is called with each day before its files are read.

    The archive may seal days meanwhile. ``unfinished`` is called with a day whose files are there and which the log did
    not cover yet at the end.
    """
    log = LogFiles(storage)
    try:
        leaves, checkpoint = log.read()
        covered = _covered(leaves, checkpoint)
        faults = {*_day_faults(storage, covered, progress)}
        extra = set(storage.names("sealed")) - _named(covered)
        if extra or covered != leaves:
            # The archive removes the segments of a day once the log covers it. So they are listed before the log is read.
            waiting = _first_waiting_day(storage, covered)
            later = _covered(*log.read())
            extra = extra.intersection(storage.names("sealed")) - _named(later)
            sealing = {name for name in extra if (day := _DAY_OF_FILE.search(name)) and day[1] == waiting}
            ahead = [] if later[: len(leaves)] == leaves else leaves[len(covered) :]
            if ahead and _days(ahead) != {waiting}:
                covered = leaves  # with one that nobody is about to sign
            elif ahead or sealing:
                unfinished(waiting)
            faults |= {Fault(name, 0, 0, "no leaf of the log names it") for name in extra - sealing - _named(covered)}
    except StateError as error:
        return [Fault("log", 0, 0, str(error))]
    return sorted({*_log_faults(covered, checkpoint, key), *faults})


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


def _covered(leaves: list[bytes], checkpoint: Checkpoint | None) -> list[bytes]:
    """Return the leaves without a last one of a day that no checkpoint covers yet, because the archive is at it."""
    ahead = len(leaves) - (checkpoint.size if checkpoint else 0)
    return leaves[:-1] if ahead == 1 and _days(leaves[-1:]) else leaves


def _manifests(leaves: Sequence[bytes]) -> Iterator[Manifest]:
    """Yield the manifests among leaves that can be read."""
    for content in leaves:
        with suppress(ValueError):
            leaf = read_leaf(content)
            if isinstance(leaf, Manifest):
                yield leaf


def _days(leaves: Sequence[bytes]) -> set[str]:
    return {manifest.day for manifest in _manifests(leaves)}


def _named(leaves: Sequence[bytes]) -> set[str]:
    return {file.path for manifest in _manifests(leaves) for file in manifest.files}


def _first_waiting_day(storage: Storage, leaves: Sequence[bytes]) -> str:
    """Return the first day that waits in segments and has no leaf; it is sealed before the others. Empty without one."""
    waiting = {segment.day for kind in STREAM_KINDS for segment in list_segments(storage, kind)}
    return min(waiting - _days(leaves), default="")


def _verify_file(storage: Storage, file: SealedFile) -> Iterator[Fault]:
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
    if file.path.startswith("/") or ".." in file.path.split("/"):
        raise ValueError("it does not lie in the dataset")
    data = storage.read(file.path)
    if (len(data), sha256(data).hexdigest()) != (file.size, file.sha256):
        raise ValueError("its bytes are not those that were sealed")
    return read(data, KINDS[file.kind], names)
