"""A round whose owner left out, added or exchanged evidence is refused, although all of it is signed again."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest

from services.cli.rounds.derived import compute_round, derived_files
from services.cli.rounds.evidence import EvidenceFolder
from services.cli.rounds.freeze import RoundRequest, freeze
from services.cli.rounds.proven_days import read_manifests
from services.cli.rounds.reading import register_in, round_in
from services.cli.rounds.report import report_files
from services.cli.rounds.verify import verify_round
from services.core.errors import StateError
from services.dataset.days import EvidenceDays, KeyChange, LogFiles, Manifest, read_sealed, write_segments
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.dataset.tables import MEASUREMENT
from services.scorer.archived import ArchivedEvidence
from tests import independent_round_verifier
from tests.support.cases.datasets.round_folders import SPAN, dataset, directory, frozen, key, sign_again
from tests.support.cases.scoring import register_of_long_slots as register

__all__ = ["dataset", "directory", "frozen", "key", "register"]


@pytest.fixture
def folder(frozen: Path, tmp_path: Path) -> Path:
    return shutil.copytree(frozen, tmp_path / "forged")


def freeze_again(folder: Path, key: SigningKey, **changes: object) -> float:
    """Compute and sign a round again from what is in its folder, as its owner can; return the index of the government."""
    storage = LocalStorage(folder)
    described = replace(round_in(storage), **changes)  # type: ignore[arg-type]  # the values of a test
    manifests = read_manifests(storage, described, key.public, [])
    evidence = ArchivedEvidence(EvidenceFolder(storage), manifests)
    described = replace(described, evidence_sequence=evidence.last_sequence)
    numbers = compute_round(
        evidence, register_in(storage, described), as_of=described.as_of, window_days=described.window_days
    )
    for name, content in {**derived_files(described, numbers), **report_files(described, numbers, None)}.items():
        storage.write(name, content)
    storage.write("round.json", described.content())
    sign_again(folder, key)
    return numbers.government.point or 0.0


def drop_day(folder: Path, day: str) -> None:
    for path in [*folder.glob(f"evidence/days/{day}.*"), *folder.glob(f"evidence/sealed/**/day={day}/*.parquet")]:
        path.unlink()


def without_log(dataset: LocalStorage, folder: Path) -> tuple[LocalStorage, list[bytes]]:
    """Copy a dataset except for its log; return the copy, and the leaves that the log has."""
    copied = LocalStorage(shutil.copytree(dataset.address, folder / "dataset"))
    leaves = LogFiles(copied).leaves()
    shutil.rmtree(folder / "dataset/log")
    return copied, leaves


def refusals(folder: Path, key: SigningKey) -> tuple[list[str], list[str]]:
    """Return what our verifier and the other one find."""
    other = list(independent_round_verifier.faults(folder, independent_round_verifier.Key(str(key.public))))
    return [f"{fault.file}: {fault.reason}" for fault in verify_round(folder, key.public).faults], other


def test_rows_that_no_manifest_names_do_not_count(folder: Path, key: SigningKey) -> None:
    """A day in whose place the owner puts rows of their choice, as if it were not sealed, makes no round."""
    storage = LocalStorage(folder)
    described = round_in(storage)
    day = described.days[-1]
    (manifest,) = read_manifests(storage, replace(described, days=(day,)), key.public, [])
    inside = EvidenceFolder(storage)
    (file,) = (one for one in manifest.files if one.path.startswith("sealed/kind=measurement"))
    rows = read_sealed(inside, file)
    good = rows.filter(pc.equal(rows["outcome"].cast("string"), "OK"))
    before = freeze_again(folder, key)
    drop_day(folder, day)
    write_segments(inside, MEASUREMENT, [good], 1, 2, EvidenceDays(described.timezone, 1e9, 3600))
    assert freeze_again(folder, key, days=described.days[:-1]) > before
    (name,) = (name for name in storage.names() if "/open/" in name)
    ours, others = refusals(folder, key)
    assert f"{name}: no manifest of a day of the round names it" in ours
    assert f"{name}: no manifest of a day of the round names it" in others


def test_a_round_has_no_file_of_its_owner_s_choice(folder: Path, key: SigningKey) -> None:
    """A table beside the others, or a previous round that round.json does not name, could show any figure."""
    for name in ("indicators.final.csv", "previous.parquet", "register/other.json"):
        (folder / name).write_bytes((folder / "indicators.parquet").read_bytes())
        sign_again(folder, key)
        assert refusals(folder, key)[0] == [f"{name}: it is no file of a round"]
        (folder / name).unlink()


@pytest.mark.parametrize(
    ("place", "said"), [(0, "round.json: nothing"), (1, "it does not follow"), (2, "round.json: nothing")]
)
def test_no_day_is_left_out(folder: Path, key: SigningKey, place: int, said: str) -> None:
    """A round without one of its days, whose numbers follow from the others, is not what the log says."""
    days = round_in(LocalStorage(folder)).days
    drop_day(folder, days[place])
    freeze_again(folder, key, days=(*days[:place], *days[place + 1 :]))
    for found in refusals(folder, key):
        assert [said in fault for fault in found] == [True]


def test_round_json_says_what_follows(folder: Path, key: SigningKey) -> None:
    """An end that suits the owner, and another timezone or message, do not follow from the days of the round."""
    described = round_in(LocalStorage(folder))
    for name, value in (("as_of", described.as_of - 7200), ("timezone", "UTC"), ("record", described.days[0])):
        freeze_again(folder, key, **{name: value})
        (fault,) = refusals(folder, key)[0]
        assert fault.startswith(f"round.json: {name} is {value}, and ")
        freeze_again(folder, key, **{name: getattr(described, name)})
    assert refusals(folder, key) == ([], [])


def test_days_of_another_log_do_not_count(folder: Path, key: SigningKey) -> None:
    """A day that the owner sealed anew, in a log of its own, is no day of the log of the others."""
    storage, log = LocalStorage(folder), LogFiles(LocalStorage(folder.parent / "log"))
    day = round_in(storage).days[-1]
    leaf = storage.read(f"evidence/days/{day}.json")
    log.append(leaf, key)
    storage.write(f"evidence/days/{day}.tlog-proof", str(log.prove(*log.read(), 0)).encode())
    freeze_again(folder, key)
    for found in refusals(folder, key):
        assert [fault.startswith(f"evidence/days/{day}.tlog-proof: it does not follow") for fault in found] == [True]


def test_days_without_evidence_are_shown_to_be_empty(
    dataset: LocalStorage, key: SigningKey, directory: Path, tmp_path: Path
) -> None:
    """Where the first or the last day of a round has no evidence, the sealed day beside it shows that."""
    copied, leaves = without_log(dataset, tmp_path)
    for leaf in (*leaves, Manifest((SPAN[1] + timedelta(days=5)).isoformat(), "Asia/Tehran", 0, 0, ()).leaf()):
        LogFiles(copied).append(leaf, key)
    shutil.rmtree(tmp_path / "dataset/open")
    request = RoundRequest("empty", SPAN[0], SPAN[1] + timedelta(days=3), register=directory)
    folder = freeze(copied.address, tmp_path, key, request)
    assert round_in(LocalStorage(folder)).around == ((SPAN[1] + timedelta(days=5)).isoformat(),)
    assert refusals(folder, key) == ([], [])
    freeze_again(folder, key, around=())
    (fault,) = (one for one in refusals(folder, key)[0] if one.startswith("round.json"))
    assert "nothing shows that the log has no day after" in fault


@pytest.fixture
def new_key(key: SigningKey) -> SigningKey:
    return SigningKey.generate(key.name)


@pytest.fixture
def changed(dataset: LocalStorage, key: SigningKey, new_key: SigningKey, tmp_path: Path) -> LocalStorage:
    """A dataset whose log has a new key since the day before its last."""
    copied, leaves = without_log(dataset, tmp_path)
    for leaf in leaves[:-1]:
        LogFiles(copied).append(leaf, key)
    LogFiles(copied).change_key(key, new_key)
    LogFiles(copied).append(leaves[-1], new_key)
    return copied


def test_a_round_has_the_changes_of_the_key(
    changed: LocalStorage, key: SigningKey, new_key: SigningKey, directory: Path, tmp_path: Path
) -> None:
    """A round across a change is whole by the key before, and by the one that signed it. The key before freezes no more."""
    for provisional in (False, True):
        request = RoundRequest(f"round-{provisional}".lower(), *SPAN, register=directory, provisional=provisional)
        with pytest.raises(StateError, match=r"000002\.json in .* changed the key of the log"):
            freeze(changed.address, tmp_path, key, request)
        folder = freeze(changed.address, tmp_path, new_key, request)
        assert [path.name for path in sorted(folder.glob("evidence/keys/*"))] == ["000002.json", "000002.tlog-proof"]
        assert [refusals(folder, one) for one in (key, new_key)] == [([], []), ([], [])]
        assert all(refusals(folder, SigningKey.generate(key.name)))


def test_only_a_change_of_the_key_is_no_day(
    changed: LocalStorage, key: SigningKey, new_key: SigningKey, directory: Path, tmp_path: Path
) -> None:
    """The owner can neither leave out a change of the key, nor give a day, or a leaf of another place, out as one."""
    whole = freeze(changed.address, tmp_path, new_key, RoundRequest("whole", *SPAN, register=directory))
    leaves, checkpoint = LogFiles(changed).read()
    log, days = LogFiles(changed), round_in(LocalStorage(whole)).days
    for name, hidden, moved, said in (
        ("left-out", None, "", r"2026-03-\d\d.tlog-proof: it does not follow"),
        ("elsewhere", 2, "000001", r"evidence/keys/000001\."),
        ("a-day", 1, "000001", r"evidence/keys(/000001\.|: the leaf at 1 is no change)"),
    ):
        folder = shutil.copytree(whole, tmp_path / name)
        if hidden is None:
            shutil.rmtree(folder / "evidence/keys")
            freeze_again(folder, new_key)
        else:
            if hidden == 1:
                drop_day(folder, days[1])
                freeze_again(folder, new_key, days=(days[0], days[2]))
            (folder / f"evidence/keys/{moved}.json").write_bytes(leaves[hidden])
            (folder / f"evidence/keys/{moved}.tlog-proof").write_text(str(log.prove(leaves, checkpoint, hidden)))
            sign_again(folder, new_key)
        for found in refusals(folder, new_key):
            assert any(re.match(f"(evidence/days/)?{said}", fault) for fault in found), (name, found)


def test_a_change_in_a_round_has_the_consent_of_the_key_before(
    dataset: LocalStorage, key: SigningKey, directory: Path, tmp_path: Path
) -> None:
    """A round of a log that somebody without its key continued is refused by the key."""
    copied, leaves = without_log(dataset, tmp_path)
    forger = SigningKey.generate(key.name)
    for leaf in (*leaves[:-1], KeyChange.of(forger, forger.public, leaves[:-1]).leaf(), leaves[-1]):
        LogFiles(copied).append(leaf, forger)
    folder = freeze(copied.address, tmp_path, forger, RoundRequest("forged", *SPAN, register=directory))
    ours, others = refusals(folder, key)
    assert any(fault.startswith("evidence/keys/000002.json: the key before, with id") for fault in ours)
    assert "evidence/keys: the key before has not consented to the change at 2" in others
