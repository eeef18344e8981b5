"""``peyvand round``: a frozen round stands alone, and no bit of it changes unnoticed."""

from __future__ import annotations

import json
import random
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.command_line import app
from services.cli.rounds.derived import compute_round
from services.cli.rounds.freeze import RoundRequest, freeze
from services.cli.rounds.verify import verify_round
from services.core.errors import SettingsError, StateError
from services.core.model import IndicatorKind
from services.core.model.register import Register
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.indicator.calendar import RECORD_DAYS, Calendar
from services.scorer.archived import ArchivedEvidence
from services.scorer.archived.day_files import DayFile
from services.scorer.archived.engines import Counted
from services.scorer.offline import score_evidence
from tests import independent_round_verifier
from tests.support.cases.datasets.round_folders import SPAN, dataset, directory, frozen, key, sign_again
from tests.support.cases.scoring import START
from tests.support.cases.scoring import register_of_long_slots as register
from tests.support.doc_blocks import block

__all__ = ["dataset", "directory", "frozen", "key", "register"]

FLIPS = 100


def independent(folder: Path, key: SigningKey) -> list[str]:
    return list(independent_round_verifier.faults(folder, independent_round_verifier.Key(str(key.public))))


def named(folder: Path, key: SigningKey) -> set[str]:
    """Return the files that a verification names. Without round.json there is no round, and the error says so."""
    try:
        return {fault.file for fault in verify_round(folder, key.public).faults}
    except StateError as error:
        return {name for name in ("round.json",) if name in str(error)}


def test_a_round_stands_alone(frozen: Path, key: SigningKey) -> None:
    """Every number is computed again from the folder alone, and an independent verifier agrees."""
    verified = verify_round(frozen, key.public)
    assert verified.faults == ()
    assert verified.computed
    assert verified.unchecked == ()
    assert independent(frozen, key) == []
    names = {str(path.relative_to(frozen)).split("/")[0] for path in frozen.rglob("*") if path.is_file()}
    assert names == {
        *("round.json", "SHA256SUMS", "SHA256SUMS.note", "register", "evidence", "datapackage.json"),
        *("indicators.csv", "indicators.parquet", "structure.json", "sensitivity.json", "gains.json"),
        *("announcements.json", "objections.json", "report.en.pdf", "report.fa.pdf"),
    }
    assert verified.frozen.window_days == 2
    assert len(verified.frozen.days) == 3  # and the day of the record before it


def test_its_days_are_counted_where_one_asks(frozen: Path, key: SigningKey) -> None:
    """Another engine gets the measurements of every day once, and its results verify the round."""
    asked: list[str] = []

    def engine(work: Callable[[DayFile], Counted], files: Sequence[DayFile]) -> Iterator[Counted]:
        asked.extend(file.day for file in files)
        return map(work, files)

    verified = verify_round(frozen, key.public, engine=engine)
    assert verified.faults == ()
    assert asked == list(verified.frozen.days)


def test_a_round_may_be_longer_than_the_record(dataset: LocalStorage, register: Register) -> None:
    """All days of a long round count, and `score --archive` over its window computes the same numbers."""
    archive, days, end = ArchivedEvidence(dataset), RECORD_DAYS + 30, START + (RECORD_DAYS + 20) * 86_400
    calendar = Calendar.of(register.policy)
    government = compute_round(archive, register, as_of=end, window_days=days).government
    assert government.known_share > 0
    evidence = archive.evidence(register, end_slot=calendar.slot_of(end), window_days=days)
    (row,) = score_evidence(register, evidence, at=end, windows=(days,), evidence_sequence=archive.last_sequence).rows(
        IndicatorKind.GOVERNMENT, days
    )
    assert row == government


def test_the_same_evidence_makes_the_same_bytes(
    frozen: Path, dataset: LocalStorage, key: SigningKey, directory: Path, tmp_path: Path
) -> None:
    """A round frozen again elsewhere has the same bytes in every file, also in the reports."""
    again = freeze(
        dataset.address, tmp_path, key, RoundRequest("first", *SPAN, title_fa="دورهٔ نخست", register=directory)
    )
    files = {path.relative_to(frozen) for path in frozen.rglob("*") if path.is_file()}
    assert files == {path.relative_to(again) for path in again.rglob("*") if path.is_file()}
    assert [str(name) for name in files if (frozen / name).read_bytes() != (again / name).read_bytes()] == []
    with pytest.raises(SettingsError, match="a frozen round is never written again"):
        freeze(dataset.address, tmp_path, key, RoundRequest("first", *SPAN, register=directory))


def test_no_bit_is_changed_unnoticed(frozen: Path, key: SigningKey, tmp_path: Path) -> None:
    """For each of a hundred flipped bits, our verifier and the other one refuse the round and name the file."""
    chance = random.Random(3)
    files = sorted(path for path in frozen.rglob("*") if path.is_file())
    for _ in range(FLIPS):
        chosen = chance.choice(files)
        content = bytearray(chosen.read_bytes())
        place = chance.randrange(len(content))
        content[place] ^= 1 << chance.randrange(8)
        folder = tmp_path / "flipped"
        shutil.copytree(frozen, folder)
        name = str(chosen.relative_to(frozen))
        (folder / name).write_bytes(content)
        found = named(folder, key)
        assert name in found or (name == "SHA256SUMS" and "SHA256SUMS.note" in found), (name, found)
        if name not in ("round.json", "SHA256SUMS"):
            assert any(fault.startswith(name) for fault in independent(folder, key)), name
        shutil.rmtree(folder)


def test_numbers_that_do_not_follow_are_refused(frozen: Path, key: SigningKey, tmp_path: Path) -> None:
    """Numbers or reports that do not follow from the evidence are refused, even if the holder of the key signs them."""
    folder = tmp_path / "forged"
    forged = [("structure.json", b"0.", b"1."), ("gains.json", b"0.", b"1."), ("report.en.pdf", b"%PDF", b"%pdf")]
    for name, old, new in forged:
        shutil.copytree(frozen, folder)
        (folder / name).write_bytes((frozen / name).read_bytes().replace(old, new, 1))
        sign_again(folder, key)
        assert independent(folder, key) == []
        assert [fault.file for fault in verify_round(folder, key.public).faults] == [name]
        shutil.rmtree(folder)


def test_another_key_is_refused(frozen: Path) -> None:
    """A round that somebody else signed is not the owner's."""
    found = {fault.file for fault in verify_round(frozen, SigningKey.generate("archive.example").public).faults}
    assert "SHA256SUMS.note" in found


def test_days_that_are_not_sealed_need_a_provisional_round(
    dataset: LocalStorage, key: SigningKey, directory: Path, tmp_path: Path
) -> None:
    """A provisional round has the current day up to its newest slot. The round and its reports say so."""
    last = (SPAN[1], date.fromordinal(SPAN[1].toordinal() + 1))
    with pytest.raises(SettingsError, match="--provisional"):
        freeze(dataset.address, tmp_path, key, RoundRequest("open", *last, register=directory))
    folder = freeze(dataset.address, tmp_path, key, RoundRequest("open", *last, register=directory, provisional=True))
    verified = verify_round(folder, key.public)
    assert (verified.faults, verified.computed, verified.unchecked) == ((), True, ())
    assert independent(folder, key) == []
    assert verified.frozen.provisional
    assert not list(tmp_path.glob(".*"))


def test_days_that_the_archive_has_not_reached_make_no_final_round(
    dataset: LocalStorage, key: SigningKey, directory: Path, tmp_path: Path
) -> None:
    """A day without manifest and rows is empty only once a later day is sealed. Before that its rows may still come."""
    behind = tmp_path / "dataset"
    shutil.copytree(dataset.address, behind)
    shutil.rmtree(behind / "open")
    day_after = date.fromordinal(SPAN[1].toordinal() + 1)
    request = RoundRequest("early", SPAN[0], day_after, register=directory)
    with pytest.raises(SettingsError, match=f"is sealed up to {date.fromordinal(SPAN[1].toordinal() - 1)}"):
        freeze(str(behind), tmp_path, key, request)
    assert not list(tmp_path.glob("*early*"))
    shutil.rmtree(behind / "log")
    with pytest.raises(SettingsError, match="is sealed up to no day"):
        freeze(str(behind), tmp_path, key, request)


def test_rounds_are_listed_and_compared(
    frozen: Path, dataset: LocalStorage, key: SigningKey, directory: Path, tmp_path: Path
) -> None:
    """A correction names the round that it corrects, and its reports show the changes since the previous round."""
    request = RoundRequest(
        "second", *SPAN, register=directory, corrects="first", why="the register was wrong", previous=frozen
    )
    second = freeze(dataset.address, tmp_path, key, request)
    assert verify_round(second, key.public).faults == ()
    killed = tmp_path / ".third.part"
    killed.mkdir()
    (killed / "round.json").write_text("{", "utf-8")
    run = CliRunner().invoke(app, ["round", "list", str(tmp_path)])
    assert "corrects first" in run.output
    run = CliRunner().invoke(app, ["round", "compare", str(frozen), str(second)])
    assert "No index changed beyond chance." in run.output
    assert "The register is the same." in run.output
    run = CliRunner().invoke(app, ["round", "verify", str(second), "--key", str(key.public)])
    assert "every number was computed again" in run.output
    assert json.loads((second / "round.json").read_bytes())["previous"] == "first"


@pytest.mark.parametrize(
    ("request_of", "said"),
    [
        (RoundRequest("A b", *SPAN), "cannot name a round"),
        (RoundRequest("a", SPAN[1], SPAN[0]), "has no day"),
        (RoundRequest("a", *SPAN, corrects="b"), "--corrects and --why together"),
        (RoundRequest("a", date(1, 1, 1), date(1, 1, 5)), "from 0001-01-01 to 0001-01-05 .* of the years 1971 to 9998"),
        (RoundRequest("a", date(9999, 12, 30), date.max, provisional=True), "of the years 1971 to 9998"),
        (RoundRequest("a", date(2001, 1, 1), date(2001, 2, 1)), "holds no"),
    ],
)
def test_what_no_round_can_be(
    dataset: LocalStorage, key: SigningKey, tmp_path: Path, request_of: RoundRequest, said: str
) -> None:
    """An impossible round is refused in one sentence, and no file is left."""
    with pytest.raises(SettingsError, match=said):
        freeze(dataset.address, tmp_path, key, request_of)
    assert list(tmp_path.iterdir()) == []


def test_the_other_verifier_runs_as_the_page_of_the_archive_says(
    frozen: Path, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last command of the section in docs/archive.md, after it has installed cryptography, finds a round whole."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(frozen, "rounds/2026-autumn")
    Path("archive.pub").write_text(str(key.public), "utf-8")
    _, program, *words = shlex.split(block("docs/archive.md: 7. Rounds 1").text.splitlines()[-1])
    assert program == Path(independent_round_verifier.__file__).name
    assert independent_round_verifier.main(words) == 0
    assert capsys.readouterr().out == "rounds/2026-autumn is whole\n"


def test_the_other_verifier_says_what_it_cannot_use(
    frozen: Path, key: SigningKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without arguments the verifier shows its usage; a bad folder or key is one line. The key may be in a file."""
    (tmp_path / "archive.pub").write_text(f"{key.public}\n", "utf-8")
    assert independent_round_verifier.main([str(frozen), str(tmp_path / "archive.pub")]) == 0
    for words, said in (
        ([], "Usage: python independent_round_verifier.py FOLDER KEY"),
        ([str(tmp_path), str(key.public)], "No such file or directory"),
        ([str(frozen), "archive.pub"], "'archive.pub' is no public key"),
    ):
        assert independent_round_verifier.main(words) == 2
        assert said in capsys.readouterr().err


def test_the_page_s_commands_run(
    dataset: LocalStorage, key: SigningKey, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of docs/rounds.md work as printed, with the names and days of this test."""
    monkeypatch.chdir(tmp_path)
    Path("archive.key").write_text(key.text(), "utf-8")
    Path("archive.pub").write_text(str(key.public), "utf-8")
    freeze(dataset.address, Path("rounds"), key, RoundRequest("2026-summer", *SPAN, register=directory))
    names = {
        "/var/lib/peyvand/archive/dataset": dataset.address,
        "peyvand-data/sandbox/archive/dataset": dataset.address,
        "peyvand-data/sandbox/archive/key": "archive.key",
        "2026-09-23": SPAN[0].isoformat(),
        "2026-10-23": SPAN[1].isoformat(),
    }
    for name in ("1. Freeze one 1", "1. Freeze one 2", "2. Verify one 1", "2. Verify one 2", "4. Compare two 1"):
        for line in block(f"docs/rounds.md: {name}").text.replace("\\\n", " ").splitlines():
            program, *words = [names.get(word, word) for word in shlex.split(line)]
            if program == "python":
                assert independent_round_verifier.main(words[1:]) == 0
                continue
            register = ["--register", str(directory)] if words[1] == "freeze" else []
            run = CliRunner().invoke(app, [*words, *register])
            assert (run.exit_code, run.exception) == (0, None), (line, run.output)
    assert {path.name for path in Path("rounds").iterdir()} == {"2026-summer", "2026-autumn", "trial"}
