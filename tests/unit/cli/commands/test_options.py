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
        (["findings", "FILE", "--kind", "fall"], "cannot be used with COUNTS.csv"),
        (["findings", "FILE", "--agency", "customs"], "cannot be used with COUNTS.csv"),
        (["findings", "FILE", "--link", "deed-tax"], "cannot be used with COUNTS.csv"),
        (["findings", "FILE", "--ended"], "cannot be used with COUNTS.csv"),
        (["findings", "FILE", "--language", "fa"], "cannot be used with COUNTS.csv"),
        (["findings", "--step", "1d"], "need the file COUNTS.csv"),
        (["findings", "--timezone", "Asia/Tehran"], "need the file COUNTS.csv"),
        (["findings", "--budget", "2"], "need the file COUNTS.csv"),
        (["exchange", "FILE", "--window", "7"], "cannot be used with FILES"),
        (["exchange", "--register", "FILE"], "need FILES"),
        (["exchange", "--skip-bad"], "need FILES"),
        (["exchange", "--span-days", "3"], "need FILES"),
        (["exchange", "--columns", "messageId"], "need FILES"),
    ],
)
def test_an_option_of_the_other_source_is_refused(tmp_path: Path, words: list[str], sentence: str) -> None:
    """An option about the api is refused beside a file, and one about a file without it."""
    file = tmp_path / "counts.csv"
    file.write_text("time,stream,count\n2026-01-03,orders,1\n")
    result = CliRunner().invoke(app, [str(file) if word == "FILE" else word for word in words])
    assert isinstance(result.exception, SettingsError), result.output
    assert sentence in str(result.exception)
