"""Options that say nothing about what a command is asked are refused instead of passed over."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.command_line import app
from services.core.errors import SettingsError


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["findings", "FILE", "--kind", "fall"], "they go without COUNTS.csv"),
        (["findings", "FILE", "--agency", "customs"], "they go without COUNTS.csv"),
        (["findings", "FILE", "--link", "deed-tax"], "they go without COUNTS.csv"),
        (["findings", "FILE", "--ended"], "they go without COUNTS.csv"),
        (["findings", "FILE", "--language", "fa"], "they go without COUNTS.csv"),
        (["findings", "--step", "1d"], "name the file, COUNTS.csv"),
        (["findings", "--timezone", "Asia/Tehran"], "name the file, COUNTS.csv"),
        (["findings", "--budget", "2"], "name the file, COUNTS.csv"),
        (["exchange", "FILE", "--window", "7"], "it goes without FILES"),
        (["exchange", "--register", "FILE"], "name the FILES"),
        (["exchange", "--skip-bad"], "name the FILES"),
        (["exchange", "--span-days", "3"], "name the FILES"),
        (["exchange", "--columns", "messageId"], "name the FILES"),
    ],
)
def test_an_option_of_the_other_source_is_refused(tmp_path: Path, words: list[str], sentence: str) -> None:
    """An option about the api is refused beside a file, and one about a file without it."""
    file = tmp_path / "counts.csv"
    file.write_text("time,stream,count\n2026-01-03,orders,1\n")
    result = CliRunner().invoke(app, [str(file) if word == "FILE" else word for word in words])
    assert isinstance(result.exception, SettingsError), result.output
    assert sentence in str(result.exception)
