"""``peyvand archive`` on the files of a dataset alone, as an outsider runs it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.command_line import app
from services.core.errors import InputError, PeyvandError, SettingsError, StateError
from services.dataset.days import EvidenceDays, KeyChange, LogFiles, Manifest, key_in_force, read_leaf
from services.dataset.log import Checkpoint, LogProof, SigningKey, VerifierKey
from services.dataset.storage import LocalStorage, sole_writer
from tests.support.cases.datasets.rows import START, seal_a_day
from tests.support.doc_blocks import block

DAY = EvidenceDays("Asia/Tehran", 3600.0, 300).day_of(START)
EMPTY_DAY = Manifest("2030-01-01", "UTC", 0, 0, ()).leaf()


def run(*words: object) -> str:
    """Return what a command prints; raise its error."""
    done = CliRunner().invoke(app, ["archive", *map(str, words)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    run("key", "archive.example", tmp_path / "archive.key")
    return tmp_path / "archive.key"


@pytest.fixture
def dataset(tmp_path: Path, key_file: Path) -> Path:
    assert seal_a_day(tmp_path / "dataset", SigningKey.read(key_file)) == DAY
    return tmp_path / "dataset"


def public(key_file: Path) -> VerifierKey:
    return SigningKey.read(key_file).public


def test_a_key_is_written_once(tmp_path: Path, key_file: Path) -> None:
    """Only its owner may read a key file, and a second key does not replace it. Its public key is printed again."""
    assert key_file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SettingsError, match="File exists"):
        run("key", "archive.example", key_file)
    printed = run("key", "--witness", "court.example", tmp_path / "witness.key")
    assert VerifierKey.parse(printed.strip()) == public(tmp_path / "witness.key")
    assert run("public-key", tmp_path / "witness.key") == printed


def test_a_whole_dataset_is_verified(dataset: Path, key_file: Path) -> None:
    """The key may be text or a file. Without it the command says what it did not check."""
    expected = f"is whole: 1 days from {DAY} to {DAY}, signed by its key"
    assert expected in run("verify", dataset, "--key", public(key_file))
    published = key_file.with_name("archive.pub")
    published.write_text(str(public(key_file)), "utf-8")
    assert expected in run("verify", dataset, "--key", published)
    assert "its signature was not checked" in run("verify", dataset)


def test_a_changed_file_is_named(dataset: Path, key_file: Path) -> None:
    """A dataset with a changed byte of evidence is refused, and the file is named."""
    (file,) = (dataset / "sealed").rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError) as caught:
        run("verify", dataset, "--key", public(key_file))
    assert [fault.file for fault in caught.value.faults] == [str(file.relative_to(dataset))]


def test_a_day_is_proven(dataset: Path, key_file: Path, tmp_path: Path) -> None:
    """The two files that the command writes, and the key, are enough to prove a day."""
    run("prove", DAY, dataset, "--out", tmp_path)
    manifest = (tmp_path / f"{DAY}.json").read_bytes()
    proof = LogProof.parse((tmp_path / f"{DAY}.tlog-proof").read_text("utf-8"))
    assert proof.faults(manifest, [public(key_file)]) == []
    leaf = read_leaf(manifest)
    assert isinstance(leaf, Manifest)
    assert leaf.day == DAY
    with pytest.raises(SettingsError, match="2020-01-01 is not sealed"):
        run("prove", "2020-01-01", dataset)


@pytest.mark.parametrize(
    ("day", "why"),
    [("1405-09-09", "write Gregorian years"), ("2026-13-01", "does not exist"), ("x", "write YYYY-MM-DD")],
)
def test_what_is_no_day_is_not_called_unsealed(dataset: Path, day: str, why: str) -> None:
    """A day that cannot be in any log is refused for what it is."""
    done = CliRunner().invoke(app, ["archive", "prove", day, str(dataset)])
    assert done.exit_code == 2
    assert why in " ".join(done.stderr.split())


def test_nothing_of_a_changed_log_is_proven(dataset: Path, key_file: Path, tmp_path: Path) -> None:
    """A proof that leads to no root is not written, even if the leaf of the day itself is as it was."""
    LogFiles(LocalStorage(dataset)).append(EMPTY_DAY, SigningKey.read(key_file))
    (dataset / "log/entries/000001.json").write_bytes(EMPTY_DAY.replace(b"2030", b"2031"))
    with pytest.raises(StateError, match="does not begin with the 2 leaves of its checkpoint"):
        run("prove", DAY, dataset, "--out", tmp_path)
    assert not list(tmp_path.glob("*.tlog-proof"))


def test_a_leaf_that_cannot_be_read_is_named(dataset: Path, tmp_path: Path) -> None:
    """Proving a day from a damaged log ends with one sentence."""
    (dataset / "log" / "entries" / "000000.json").write_bytes(b"{}")
    with pytest.raises(StateError, match=r"^log/entries/000000\.json in .* is damaged: not a leaf of the log$"):
        run("prove", DAY, dataset, "--out", tmp_path)


def test_a_witness_refuses_a_rewritten_day(dataset: Path, key_file: Path, tmp_path: Path) -> None:
    """A witness cosigns a growing log. It refuses a changed day signed again, and keeps the last checkpoint."""
    run("key", "--witness", "court.example", tmp_path / "witness.key")
    words = (
        "witness",
        dataset,
        "--key",
        public(key_file),
        "--sign",
        tmp_path / "witness.key",
        "--seen",
        tmp_path / "seen",
    )
    assert "cosigned 1 leaves of archive.example" in run(*words)
    log = LogFiles(LocalStorage(dataset))
    log.append(EMPTY_DAY, SigningKey.read(key_file))
    run(*words)
    seen = Checkpoint.parse((tmp_path / "seen").read_text("utf-8"))
    assert (seen.size, seen.is_signed_by(public(tmp_path / "witness.key"))) == (2, True)
    for name in ("log", "sealed"):
        (dataset / name).rename(tmp_path / f"former-{name}")
    seal_a_day(dataset, SigningKey.read(key_file), sequence=2)
    log.append(EMPTY_DAY, SigningKey.read(key_file))
    run("verify", dataset, "--key", public(key_file))
    with pytest.raises(InputError) as caught:
        run(*words)
    assert "does not begin with the 2 leaves that were there before" in caught.value.report()
    assert Checkpoint.parse((tmp_path / "seen").read_text("utf-8")) == seen


def test_keys_of_a_log_and_of_a_witness_are_told_apart(dataset: Path, key_file: Path, tmp_path: Path) -> None:
    """A log signed by the key of a witness could never go on, and a witness could not read what the key of a log cosigned."""
    run("key", "--witness", "archive.example", tmp_path / "witness.key")
    seen = ("witness", dataset, "--key", public(key_file), "--seen", tmp_path / "seen", "--sign")
    with pytest.raises(
        SettingsError, match=r"archive\.key holds the key of a log: name a file with the key of a witness"
    ):
        run(*seen, key_file)
    assert not (tmp_path / "seen").exists()
    with pytest.raises(
        SettingsError, match=r"witness\.key holds the key of a witness: name a file with the key of a log"
    ):
        run("change-key", dataset, "--sign", tmp_path / "witness.key", "--new-key", key_file)


def test_what_a_witness_cosigned_is_on_disk(
    dataset: Path, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint that was cosigned last survives a power cut: its content and then its name are synced."""
    run("key", "--witness", "court.example", tmp_path / "witness.key")
    synced, sync = list[Path](), os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    seen = tmp_path / "seen"
    run("witness", dataset, "--key", public(key_file), "--sign", tmp_path / "witness.key", "--seen", seen)
    assert synced == [tmp_path / "seen.part", tmp_path]


def test_a_log_that_was_cut_is_refused(dataset: Path, key_file: Path, tmp_path: Path) -> None:
    """A log may not lose leaves that a witness has seen."""
    log, signing = LogFiles(LocalStorage(dataset)), SigningKey.read(key_file)
    run("key", "--witness", "court.example", tmp_path / "witness.key")
    words = (
        "witness",
        dataset,
        "--key",
        public(key_file),
        "--sign",
        tmp_path / "witness.key",
        "--seen",
        tmp_path / "seen",
    )
    former = str(log.checkpoint())
    log.append(EMPTY_DAY, signing)
    run(*words)
    (dataset / "log" / "entries" / "000001.json").unlink()
    (dataset / "log" / "checkpoint").write_text(former, "utf-8")
    with pytest.raises(InputError) as caught:
        run(*words)
    assert "leaves were taken away" in caught.value.report()


@pytest.fixture
def new_key(tmp_path: Path, key_file: Path) -> Path:
    run("key", "archive.example", tmp_path / "new.key")
    return tmp_path / "new.key"


def test_a_key_is_changed(dataset: Path, key_file: Path, new_key: Path, tmp_path: Path) -> None:
    """The log goes on with the new key. Who has the former one verifies, witnesses and proves it as before."""
    run("key", "--witness", "court.example", tmp_path / "witness.key")
    witness = ("witness", dataset, "--sign", tmp_path / "witness.key", "--seen", tmp_path / "seen", "--key")
    run(*witness, public(key_file))
    change = ("change-key", dataset, "--sign", key_file, "--new-key", new_key)
    assert run(*change) == run(*change)
    LogFiles(LocalStorage(dataset)).append(EMPTY_DAY, SigningKey.read(new_key))
    for key in (key_file, new_key):
        assert "is whole: 2 days from" in run("verify", dataset, "--key", public(key))
        assert "cosigned 3 leaves" in run(*witness, public(key))
    run("prove", DAY, dataset, "--out", tmp_path)
    leaf = (tmp_path / "key-000001.json").read_bytes()
    signer = key_in_force([(1, KeyChange.parse(leaf))], public(key_file))
    for name in (DAY, "key-000001"):
        proof = LogProof.parse((tmp_path / f"{name}.tlog-proof").read_text("utf-8"))
        assert proof.faults((tmp_path / f"{name}.json").read_bytes(), [signer]) == []


def test_a_change_of_the_key_is_refused(dataset: Path, key_file: Path, new_key: Path, tmp_path: Path) -> None:
    """One sentence says why a key is not changed: it is no other key of the log, or an archive runs."""
    run("key", "other.example", tmp_path / "other.key")
    run("key", "--witness", "archive.example", tmp_path / "witness.key")
    before = {path: path.read_bytes() for path in (dataset / "log").rglob("*") if path.is_file()}
    for former, new, said in (
        (key_file, key_file, "the new key must be another key of a log of the name archive.example"),
        (key_file, tmp_path / "other.key", "the new key must be another key"),
        (key_file, tmp_path / "witness.key", "witness.key holds the key of a witness"),
        (new_key, key_file, "is not signed by this key"),
        (key_file, tmp_path / "none.key", "cannot be read"),
    ):
        with pytest.raises(PeyvandError, match=said):
            run("change-key", dataset, "--sign", former, "--new-key", new)
    with sole_writer(str(dataset)), pytest.raises(StateError, match="an archive runs on"):
        run("change-key", dataset, "--sign", key_file, "--new-key", new_key)
    assert {path: path.read_bytes() for path in (dataset / "log").rglob("*") if path.is_file()} == before
    with pytest.raises(StateError, match=f"{tmp_path} holds no sealed day"):
        run("change-key", str(tmp_path), "--sign", key_file, "--new-key", new_key)
    run("change-key", dataset, "--sign", key_file, "--new-key", new_key)
    run("key", "archive.example", tmp_path / "third.key")
    with pytest.raises(StateError, match="changed the key of the log"):
        run("change-key", dataset, "--sign", key_file, "--new-key", tmp_path / "third.key")


@pytest.mark.parametrize("words", [("verify", "/nowhere"), ("verify", "nowhere://x"), ("prove", DAY, "/nowhere")])
def test_what_is_no_dataset(words: tuple[str, ...]) -> None:
    """A folder or an address without a dataset is refused in one sentence."""
    with pytest.raises(PeyvandError):
        run(*words)


def test_the_page_s_commands_run(
    dataset: Path, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of docs/archive.md for verifying, proving, witnessing and changing the key work as printed."""
    monkeypatch.chdir(tmp_path)
    Path("archive.pub").write_text(str(public(key_file)), "utf-8")
    names = {"/var/lib/peyvand/archive/dataset": str(dataset), "DATASET": str(dataset), "2026-11-26": DAY}
    names |= {"peyvand.example/archive": "archive.example"}
    for name in ("4. Verify it 1", "4. Verify it 2", "5. Witness it 1", "12. Change its key 1", "4. Verify it 1"):
        for line in block(f"docs/archive.md: {name}").text.splitlines():
            *words, out = line.partition("#")[0].partition(">")
            program, group, *rest = shlex.split(words[0])
            assert (program, group) == ("peyvand", "archive")
            printed = run(*(names.get(word, word) for word in rest))
            if out:
                Path(out.strip()).write_text(printed, "utf-8")
    assert {path.name for path in tmp_path.iterdir()} >= {
        f"{DAY}.tlog-proof",
        f"{DAY}.json",
        "checkpoint",
        "witness.pub",
        "archive-2.pub",
    }
