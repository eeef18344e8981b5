"""Reads the sealed days of a round, and checks that the log proves them and that none was left out (docs/rounds.md §2)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Final

from services.cli.rounds.evidence import DAYS, EVIDENCE, KEYS
from services.core.errors import Fault, StateError
from services.dataset.days import KeyChange, KeyChangeError, Manifest, SealedFile, key_in_force, read_leaf
from services.dataset.log import LogProof, VerifierKey
from services.dataset.rounds import ROUND_FILE, FrozenRound
from services.dataset.storage import Storage

_SUFFIXES: Final = (".json", ".tlog-proof")
_CHANGE: Final = re.compile(rf"{KEYS}/([0-9]{{6,18}})\.json")


@dataclass(frozen=True, slots=True)
class _Proven:
    """A leaf of a log whose proof holds."""

    leaf: Manifest | KeyChange
    proof: LogProof

    @property
    def place(self) -> tuple[str, int]:
        """The log, by its size and root, and the place of the leaf in it."""
        return self.proof.checkpoint.body, self.proof.index


@dataclass(frozen=True, slots=True)
class _ProvenDay(_Proven):
    """A manifest whose proof holds."""

    leaf: Manifest

    @property
    def day(self) -> str:
        return self.leaf.day

    def follows(self, former: int, changes: Collection[tuple[str, int]]) -> bool:
        """Return whether its log has nothing but ``changes`` of the key between the place of a former leaf and it."""
        log, index = self.place
        return former < index and all((log, place) in changes for place in range(former + 1, index))


def signer_of(storage: Storage, key: VerifierKey, faults: list[Fault]) -> VerifierKey:
    """Return the key that signed a round, to which the changes of the log's key in it lead from one that the log had.

    Add to ``faults`` a change that does not count; the key is then the one given.
    """
    changes, index = [], 0
    try:
        for index in _changes(storage):
            changes += [(index, KeyChange.parse(storage.read(_change_name(index, ".json"))))]
        return key_in_force(changes, key)
    except KeyChangeError as error:
        faults.append(Fault(_change_name(error.index, ".json"), 0, 0, str(error)))
    except (StateError, ValueError) as error:
        faults.append(Fault(_change_name(index, ".json"), 0, 0, str(error)))
    return key


def read_manifests(storage: Storage, frozen: FrozenRound, key: VerifierKey, faults: list[Fault]) -> list[Manifest]:
    """Return the manifests of a round's days that are proven.

    Add to ``faults`` a description with another key, and what is wrong with manifests, with changes of the log's key, with proofs by this key, which signed
    the round, or with the files of proven days. So is a day that was left out, and evidence that no manifest names: rows of
    a day that looks as if it were not sealed would count.
    """
    if frozen.key != str(key):
        faults.append(Fault(ROUND_FILE, 0, 0, f"its key is not the one that signed it, which has id {key.id.hex()}"))
    wanted = sorted({*frozen.days, *frozen.around})
    proven = [one for day in wanted for one in _proven_day(storage, day, key, faults)]
    changes = [one for index in _changes(storage) for one in _proven_change(storage, index, key, faults)]
    found = [one.leaf for one in proven if one.day in frozen.days]
    files = [file for manifest in found for file in manifest.files]
    faults += [fault for file in files for fault in _differs(storage, file)]
    if len(proven) == len(wanted):
        faults += _left_out(proven, {one.place for one in changes}, frozen)
        named = {_day_name(day, suffix) for day in wanted for suffix in _SUFFIXES}
        named |= {_change_name(index, suffix) for index in _changes(storage) for suffix in _SUFFIXES}
        named |= {f"{EVIDENCE}/{file.path}" for file in files}
        unnamed = sorted({*storage.names(EVIDENCE)} - named)
        faults += [Fault(name, 0, 0, "no manifest of a day of the round names it") for name in unnamed]
    return found


def _proven_day(storage: Storage, day: str, key: VerifierKey, faults: list[Fault]) -> Iterator[_ProvenDay]:
    """Yield a day if it is proven; otherwise add to ``faults`` why not."""
    for one in _proven(storage, f"{DAYS}/{day}", key, faults):
        if isinstance(one.leaf, Manifest) and one.leaf.day == day:
            yield _ProvenDay(one.leaf, one.proof)
        else:
            faults.append(Fault(_day_name(day, ".json"), 0, 0, f"it is not the manifest of {day}"))


def _proven_change(storage: Storage, index: int, key: VerifierKey, faults: list[Fault]) -> Iterator[_Proven]:
    """Yield a change of the log's key if it is proven; otherwise add to ``faults`` why not."""
    for one in _proven(storage, f"{KEYS}/{index:06}", key, faults):
        if isinstance(one.leaf, KeyChange) and one.proof.index == index:
            yield one
        else:
            faults.append(Fault(_change_name(index, ".json"), 0, 0, f"it is not the change of the key at {index}"))


def _proven(storage: Storage, name: str, key: VerifierKey, faults: list[Fault]) -> Iterator[_Proven]:
    """Yield a leaf if its proof holds; otherwise add to ``faults`` why not."""
    try:
        leaf = storage.read(f"{name}.json")
        one = _Proven(read_leaf(leaf), LogProof.parse(storage.read(f"{name}.tlog-proof").decode()))
    except (StateError, ValueError) as error:
        faults.append(Fault(f"{name}.json", 0, 0, str(error)))
        return
    if unproven := one.proof.faults(leaf, [key]):
        faults += [Fault(f"{name}.tlog-proof", 0, 0, fault) for fault in unproven]
    else:
        yield one


def _changes(storage: Storage) -> list[int]:
    """Return the places of the changes of the log's key that a round has, in order."""
    names = {name: _CHANGE.fullmatch(name) for name in storage.names(KEYS)}
    return sorted(
        int(match[1]) for name, match in names.items() if match and name == _change_name(int(match[1]), ".json")
    )


def _left_out(
    proven: Sequence[_ProvenDay], changes: Collection[tuple[str, int]], frozen: FrozenRound
) -> Iterator[Fault]:
    """Yield a fault for each place at which the log may have another day of the round.

    Leaves at the places of ``changes`` of the key are no days. The days that a provisional round takes before they are
    sealed are in a log of its own, after the others.
    """
    if not proven:
        yield Fault(ROUND_FILE, 0, 0, "it names no day with evidence")
        return
    logs = 1
    for former, later in pairwise(proven):
        if later.place[0] == former.place[0] and later.follows(former.proof.index, changes):
            continue
        logs += 1
        if not (frozen.provisional and logs == 2 and later.proof.index == 0):
            why = (
                f"it does not follow {former.day} in one log: a day between them was left out, or one is of another log"
            )
            yield Fault(_day_name(later.day, ".tlog-proof"), 0, 0, why)
    first, last = proven[0], proven[-1]
    if first.day > frozen.record and not first.follows(-1, changes):
        yield Fault(ROUND_FILE, 0, 0, f"nothing shows that the log has no day from {frozen.record} to {first.day}")
    final = (date.fromisoformat(frozen.end) - timedelta(days=1)).isoformat()
    taken = frozen.end if frozen.provisional else final
    if last.day < final and not frozen.provisional:
        yield Fault(ROUND_FILE, 0, 0, f"nothing shows that the log has no day after {last.day} up to {final}")
    for one in proven:
        if (one.day in frozen.days) is not (frozen.record <= one.day <= taken):
            yield Fault(
                ROUND_FILE, 0, 0, f"it has {one.day} in the wrong place: its evidence is of {frozen.record} to {final}"
            )


def _differs(storage: Storage, file: SealedFile) -> Iterator[Fault]:
    """Yield what is wrong with a sealed file. Its rows follow from its bytes, and are counted later."""
    path = f"{EVIDENCE}/{file.path}"
    try:
        if sha256(storage.read(path)).hexdigest() != file.sha256:
            yield Fault(path, 0, 0, "its bytes are not those that were sealed")
    except StateError as error:
        yield Fault(path, 0, 0, str(error))


def _day_name(day: str, suffix: str) -> str:
    return f"{DAYS}/{day}{suffix}"


def _change_name(index: int, suffix: str) -> str:
    return f"{KEYS}/{index:06}{suffix}"
