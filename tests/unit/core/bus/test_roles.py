"""Seeds of users that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.bus.roles import load_user, write_users
from services.core.errors import SettingsError


def test_a_seed_that_cannot_be_read_is_not_called_a_wrong_seed(tmp_path: Path) -> None:
    """The message has the system's error, and only a file with other content is called no nkey seed."""
    write_users(tmp_path)
    path = tmp_path / "api.nk"
    path.unlink()
    with pytest.raises(SettingsError, match=r"is missing at .*api\.nk: name the right folder with --credentials"):
        load_user(tmp_path, "api")
    path.mkdir()
    with pytest.raises(SettingsError, match=r"at .*api\.nk cannot be read: Is a directory"):
        load_user(tmp_path, "api")
    path.rmdir()
    path.write_text("SUANOSEED")
    with pytest.raises(SettingsError, match=r"at .*api\.nk is no nkey seed: remove it, and `peyvand bus users`"):
        load_user(tmp_path, "api")
