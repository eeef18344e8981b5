"""Secrets are read by reference and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.prober.secrets import MissingSecretError, Secrets


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_rotated_secret_is_picked_up(tmp_path: Path) -> None:
    """A changed file is read again within ten seconds, without its trailing newline."""
    clock, path = Clock(), tmp_path / "secret"
    secrets = Secrets(clock=clock)
    path.write_text("old\n")
    assert secrets.get(f"file:{path}") == "old"
    path.write_text("new\n")
    assert secrets.get(f"file:{path}") == "old"
    clock.now = 10.1
    assert secrets.get(f"file:{path}") == "new"


@pytest.mark.parametrize("reference", ["env:PEYVAND_TEST_NOT_SET", "file:/nonexistent/secret", "plain-s3cr3t", ""])
def test_a_missing_secret_says_which(reference: str) -> None:
    """A secret that cannot be read is refused by its reference. A text that may be a secret itself is not repeated."""
    with pytest.raises(MissingSecretError) as raised:
        Secrets().get(reference)
    assert "s3cr3t" not in str(raised.value)


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """The repr of Secrets shows no secret."""
    monkeypatch.setenv("PEYVAND_TEST_SECRET", "s3cr3t")
    secrets = Secrets()
    assert secrets.get("env:PEYVAND_TEST_SECRET") == "s3cr3t"
    assert "s3cr3t" not in repr(secrets)
