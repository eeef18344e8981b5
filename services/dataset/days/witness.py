"""Checks that a log only grows, so that a witness may cosign its checkpoint (docs/archive.md §5). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.dataset.days.key_change import KeyChangeError, key_of_log
from services.dataset.log import Checkpoint, VerifierKey, leaf_hash, root


def witness_faults(
    leaves: Sequence[bytes], checkpoint: Checkpoint, *, log_key: VerifierKey, seen: Checkpoint | None
) -> list[str]:
    """Return why a checkpoint must not be cosigned; ``seen`` is the one that was cosigned last, None for the first.

    ``log_key`` is the first key of the log, as its owner published it, or a later one.
    """
    faults = []
    hashes = [leaf_hash(leaf) for leaf in leaves[: checkpoint.size]]
    if len(hashes) != checkpoint.size or root(hashes) != checkpoint.root:
        faults.append(f"the {len(leaves)} leaves of the log are not those of its checkpoint over {checkpoint.size}")
    try:
        key = key_of_log(leaves[: checkpoint.size], log_key)
        if not checkpoint.is_signed_by(key):
            faults.append(f"the key of {key.name} with id {key.id.hex()} has not signed the checkpoint")
    except KeyChangeError as error:
        faults.append(f"leaf {error.index}: {error}")
    except ValueError as error:
        faults.append(str(error))
    if seen is None:
        return faults
    if seen.origin != checkpoint.origin:
        faults.append(f"it is the log of {checkpoint.origin}, and not of {seen.origin}")
    if seen.size > checkpoint.size:
        faults.append(f"it has {checkpoint.size} leaves, and had {seen.size}: leaves were taken away")
    elif root(hashes[: seen.size]) != seen.root:
        faults.append(f"it does not begin with the {seen.size} leaves that were there before: one of them was changed")
    return faults
