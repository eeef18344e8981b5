"""The key of a log changes by a leaf to which the former key consents, and by no other leaf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from services.core.canonical_json import canonical_json
from services.core.errors import StateError
from services.dataset.days import KeyChange, LogFiles, Manifest, verify, witness_faults
from services.dataset.log import WITNESS, Checkpoint, SigningKey, VerifierKey, leaf_hash, root
from services.dataset.storage import LocalStorage
from tests.support.cases.datasets.beaten import BeatenStorage

NAME = "archive.example"
FIRST, SECOND, THIRD, FORGER = (SigningKey.generate(NAME) for _ in range(4))
DAYS = [Manifest(f"2026-01-0{number}", "UTC", 0, 0, ()).leaf() for number in range(1, 6)]


@pytest.fixture
def dataset(tmp_path: Path) -> LocalStorage:
    """A log whose key was changed between its second day and its third."""
    storage = LocalStorage(tmp_path / "dataset")
    for leaf in DAYS[:2]:
        LogFiles(storage).append(leaf, FIRST)
    LogFiles(storage).change_key(FIRST, SECOND)
    LogFiles(storage).append(DAYS[2], SECOND)
    return storage


def forge(dataset: LocalStorage, leaves: Sequence[bytes], *keys: SigningKey) -> Checkpoint:
    """Write a log of these leaves, signed by these keys, as their holder may who can write to the folder."""
    for name in dataset.names("log"):
        dataset.remove(name)
    for number, leaf in enumerate(leaves):
        dataset.write(f"log/entries/{number:06}.json", leaf)
    checkpoint = Checkpoint(NAME, len(leaves), root([leaf_hash(leaf) for leaf in leaves]))
    for key in keys:
        checkpoint = checkpoint.signed(key)
    dataset.write("log/checkpoint", str(checkpoint).encode())
    return checkpoint


def found(dataset: LocalStorage, key: VerifierKey) -> list[str]:
    """Return what who verifies the log finds, which a witness has to refuse as well."""
    leaves, checkpoint = LogFiles(dataset).read()
    assert checkpoint
    faults = [f"{fault.file}: {fault.reason}" for fault in verify(dataset, key)]
    assert bool(witness_faults(leaves, checkpoint, log_key=key, seen=None)) is bool(faults)
    return faults


def test_a_log_is_whole_by_its_first_key_and_by_later_ones(dataset: LocalStorage) -> None:
    """Who has one key that the log had needs no other. The checkpoint with the change is signed by both."""
    assert [len(found(dataset, key.public)) for key in (FIRST, SECOND, FORGER)] == [0, 0, 1]
    changed = LogFiles(dataset).change_key(SECOND, THIRD)
    assert [changed.is_signed_by(key.public) for key in (FIRST, SECOND, THIRD)] == [False, True, True]
    LogFiles(dataset).append(DAYS[3], THIRD)
    assert [found(dataset, key.public) for key in (FIRST, SECOND, THIRD)] == [[], [], []]


def test_a_former_key_signs_no_more(dataset: LocalStorage) -> None:
    """A checkpoint by a former key is refused, as is an archive that is started with it, even right after the change."""
    genuine = LogFiles(dataset).leaves()
    forge(dataset, [*genuine, DAYS[3]], FIRST)
    (fault,) = found(dataset, FIRST.public)
    assert fault.endswith(f"with id {SECOND.public.id.hex()} has not signed it")
    for count, signers in ((4, (SECOND,)), (3, (FIRST, SECOND))):
        forge(dataset, genuine[:count], *signers)
        said = rf"000002\.json in .* changed the key .* has id {FIRST.public.id.hex()}: give the private key of {NAME}"
        with pytest.raises(StateError, match=said.replace("+", r"\+")):
            LogFiles(dataset).sign(FIRST)
        LogFiles(dataset).sign(SECOND)


def change(former: SigningKey, new: SigningKey, leaves: Sequence[bytes], **other: object) -> bytes:
    return replace(KeyChange.of(former, new.public, leaves), **other).leaf()  # type: ignore[arg-type]  # the values of a test


OTHER_NAME, OF_WITNESS = SigningKey.generate("other.example"), SigningKey.generate(NAME, WITNESS)
LOOSE = change(FIRST, SECOND, DAYS[:2]).replace(b'":"' + NAME.encode(), b'":"' + NAME.encode() + b"+00")
FORGED = {
    "by nobody": [*DAYS[:2], canonical_json({"format": 1, "key": str(FORGER.public), "type": "key"})],
    "by the new key": [*DAYS[:2], change(FORGER, FORGER, DAYS[:2])],
    "in the first place": [change(FORGER, FORGER, []), *DAYS[:2]],
    "with another new key": [*DAYS[:2], change(FIRST, SECOND, DAYS[:2], key=str(FORGER.public))],
    "by a former key": [*DAYS[:2], change(FIRST, SECOND, DAYS[:2]), change(FIRST, FORGER, [*DAYS[:2], b""])],
    "moved to another place": [*DAYS[:3], change(FIRST, FORGER, DAYS[:2])],
    "moved to another log": [DAYS[0], DAYS[2], change(FIRST, FORGER, DAYS[:2])],
    "moved, with the other leaves' root": [
        DAYS[0],
        DAYS[2],
        change(FIRST, FORGER, DAYS[:2], root=root([leaf_hash(DAYS[0]), leaf_hash(DAYS[2])]).hex()),
    ],
    "to a log of another name": [*DAYS[:2], change(FIRST, OTHER_NAME, DAYS[:2])],
    "to a key of a witness": [*DAYS[:2], change(FIRST, OF_WITNESS, DAYS[:2])],
    "to a key that is none": [*DAYS[:2], LOOSE],
}


@pytest.mark.parametrize("leaves", FORGED.values(), ids=FORGED)
def test_a_change_without_consent_is_named(tmp_path: Path, leaves: list[bytes]) -> None:
    """A change to which the key before it has not consented is a fault that names the leaf, by any key that signs after it."""
    dataset = LocalStorage(tmp_path)
    (place,) = [number for number, leaf in enumerate(leaves) if b'"key"}' in leaf][-1:]
    for signer in (FORGER, FIRST, OTHER_NAME):
        forge(dataset, leaves, signer, SECOND)
        assert any(fault.startswith(f"log/entries/{place:06}.json: ") for fault in found(dataset, FIRST.public))


def test_a_change_happens_once(dataset: LocalStorage) -> None:
    """A change that is written again, as it was or with a consent of its own place, is refused by any key."""
    genuine = LogFiles(dataset).leaves()
    for again in (genuine[2], change(FIRST, SECOND, genuine), change(SECOND, SECOND, genuine)):
        forge(dataset, [*genuine, again], FIRST, SECOND)
        for key in (FIRST, SECOND):
            (fault,) = found(dataset, key.public)
            assert fault.startswith("log/entries/000004.json: ")
    assert fault.endswith(f"it does not name another key of {NAME}")


def test_a_witness_follows_a_change(dataset: LocalStorage) -> None:
    """A witness that knows the first key cosigns across the change, and no log that was rewritten before it."""
    leaves, checkpoint = LogFiles(dataset).read()
    assert checkpoint
    seen = Checkpoint(NAME, 2, root([leaf_hash(leaf) for leaf in leaves[:2]]))
    assert witness_faults(leaves, checkpoint, log_key=FIRST.public, seen=seen) == []
    rewritten = [DAYS[0], DAYS[4]]
    rewritten.append(change(FIRST, SECOND, rewritten))
    checkpoint = forge(dataset, rewritten, SECOND)
    assert witness_faults(rewritten, checkpoint, log_key=FIRST.public, seen=None) == []
    (fault,) = witness_faults(rewritten, checkpoint, log_key=FIRST.public, seen=seen)
    assert "does not begin with the 2 leaves" in fault


def test_a_change_that_a_crash_interrupted_is_finished(tmp_path: Path) -> None:
    """After its leaf was written, only the same change goes on. Once it is done, it is not done again."""
    dataset, log = LocalStorage(tmp_path), LogFiles(LocalStorage(tmp_path))
    dataset.write("log/entries/000000.json", DAYS[0])  # a crash came before its checkpoint, too
    undisturbed = log.change_key(FIRST, SECOND)
    files = {name: dataset.read(name) for name in dataset.names()}
    forge(dataset, DAYS[:1], FIRST)
    dataset.write("log/entries/000001.json", change(FIRST, SECOND, DAYS[:1]))
    for key in (FIRST, SECOND):
        with pytest.raises(StateError):
            log.sign(key)
    for former, new in ((FIRST, THIRD), (FORGER, SECOND), (SECOND, FIRST)):
        with pytest.raises(StateError):
            log.change_key(former, new)
    with pytest.raises(StateError, match=r"000001\.json in .* changes the key .* again, with the same two keys"):
        log.sign(FIRST)
    for _ in range(2):
        assert log.change_key(FIRST, SECOND) == undisturbed
        assert {name: dataset.read(name) for name in dataset.names()} == files


def test_a_leaf_that_an_archive_wrote_meanwhile_stays(dataset: LocalStorage) -> None:
    """The change is refused, and can be made after the new leaf."""
    log, leaves = LogFiles(dataset), [*LogFiles(dataset).leaves(), DAYS[3]]
    beaten = BeatenStorage(Path(dataset.address))
    beaten.other = lambda: log.append(DAYS[3], SECOND)
    with pytest.raises(StateError, match=r"000004\.json in .* is another leaf by now: another archive may write there"):
        LogFiles(beaten).change_key(SECOND, THIRD)
    assert (log.leaves(), found(dataset, SECOND.public)) == (leaves, [])
    assert log.change_key(SECOND, THIRD).size == len(leaves) + 1
    assert found(dataset, THIRD.public) == []


def test_the_same_change_at_once_is_one_change(dataset: LocalStorage) -> None:
    """Two commands with the same two keys write the same leaf, and both succeed."""
    beaten = BeatenStorage(Path(dataset.address))
    beaten.other = lambda: LogFiles(dataset).change_key(SECOND, THIRD)
    assert LogFiles(beaten).change_key(SECOND, THIRD).size == len(LogFiles(dataset).leaves()) == 5
    assert found(dataset, THIRD.public) == []


def test_a_planted_change_is_not_signed(dataset: LocalStorage) -> None:
    """Who may write to the storage, without a key, can have neither key sign a change of theirs."""
    log, genuine, checkpoint = LogFiles(dataset), LogFiles(dataset).leaves(), LogFiles(dataset).checkpoint()
    for leaf in (genuine[2], change(FORGER, FORGER, genuine), change(FIRST, FORGER, genuine), b'{"type":"key"}'):
        dataset.write("log/entries/000004.json", leaf)
        for key in (FIRST, SECOND):
            with pytest.raises(StateError):
                log.sign(key)
            with pytest.raises(StateError):
                log.change_key(key, THIRD)
    assert (dataset.names("log/entries")[-1], log.checkpoint()) == ("log/entries/000004.json", checkpoint)
