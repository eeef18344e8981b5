"""reviews.csv is read strictly, written by `peyvand finding`, and published with the register."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.commands.finding import app
from services.core.errors import InputError, PeyvandError
from services.core.model import FindingReview, Review
from services.register.bus.chunks import join_chunks, split_register
from services.register.directory.load import load_register
from services.register.versions.diff import diff_registers
from services.register.versions.rows import with_versions
from tests.support.registers import write_register

ID, OTHER = "c0ef1e7bdd2c040a", "00ef1e7bdd2c040a"


def run(*words: str) -> str:
    """Run a command and return its output."""
    result = CliRunner().invoke(app, words)
    if isinstance(result.exception, PeyvandError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_every_fault_of_a_review_has_its_place(tmp_path: Path) -> None:
    """Ids that no finding has, repeated findings, other states and missing notes are faults."""
    text = f"finding,state,note\n{ID},confirmed,x\n{ID},dismissed,\nabc,open,x\n,,x\n"
    directory = write_register(tmp_path, reviews_csv=text)
    with pytest.raises(InputError) as refused:
        load_register(directory)
    assert [str(fault).removeprefix(f"{directory}/") for fault in refused.value.faults] == [
        f"reviews.csv:3:1: finding: `{ID}` is there twice",
        "reviews.csv:3:28: note: is empty",
        "reviews.csv:4:1: finding: `abc` is not the id of a finding: 16 hexadecimal digits, as `peyvand findings` shows them",
        "reviews.csv:4:5: state: `open` is not one of confirmed, dismissed",
        "reviews.csv:5:1: finding: is empty",
        "reviews.csv:5:2: state: is empty",
    ]


def test_reviews_are_written_and_replaced(tmp_path: Path) -> None:
    """A later review of a finding replaces the earlier one. Others stay, whatever a note holds."""
    directory = write_register(tmp_path)
    text = run("confirm", ID, "--note", "a certificate, expired", "--register", str(directory))
    assert f"finding {ID} is confirmed in {directory}/reviews.csv: publish it" in text
    run("dismiss", OTHER, "--note", 'a "holiday"', "--register", str(directory))
    run("dismiss", ID, "--note", "a test", "--register", str(directory))
    assert load_register(directory).reviews == (
        FindingReview(OTHER, Review.DISMISSED, 'a "holiday"'),
        FindingReview(ID, Review.DISMISSED, "a test"),
    )


def test_a_review_is_in_neither_version_and_reaches_readers(tmp_path: Path) -> None:
    """A review changes neither version. The bus carries it, and a diff names the finding."""
    bare = load_register(write_register(tmp_path / "bare"))
    reviewed = load_register(write_register(tmp_path / "with", reviews_csv=f"finding,state,note\n{ID},confirmed,x\n"))
    assert reviewed.versions == bare.versions
    assert with_versions(join_chunks(split_register(reviewed).values())) == reviewed
    assert diff_registers(bare, reviewed).sections["reviews"].added == (ID,)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("confirm", "abc", "--note", "x"), "is not the id of a finding"),
        (("confirm", ID, "--note", " "), "--note is empty"),
        (("confirm", ID, "--note", "two\nlines"), "one line"),
    ],
)
def test_what_cannot_be_a_review_is_refused(tmp_path: Path, words: tuple[str, ...], reason: str) -> None:
    """Nothing is written, and the error says what to write instead."""
    directory = write_register(tmp_path)
    with pytest.raises(PeyvandError, match=reason):
        run(*words, "--register", str(directory))
    assert not (directory / "reviews.csv").exists()
