"""The choice of the nats-server program."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.bus.server import find_server, too_old
from services.core.errors import SettingsError


def _install(folder: Path, version: str) -> Path:
    program = folder / "nats-server"
    program.write_text(f"#!/bin/sh\necho 'nats-server: v{version}'\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("version", ["2.12.0", "2.15.1", "3.0.0-RC.1", "unheard of"])
def test_a_new_server_is_used(version: str) -> None:
    """Servers of the minimum version or newer are used, and so are those with an unreadable version."""
    assert too_old(version) == ""


def test_an_old_server_on_the_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's server is refused with its version and what to do, even if a newer one is installed beside Python."""
    program = _install(tmp_path, "2.10.27")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(SettingsError) as refused:
        find_server()
    assert str(refused.value) == (
        f"{program} is nats-server 2.10.27: install 2.12 or newer; or take it off PATH, and the one that `make setup` installs "
        "is used"
    )
    _install(tmp_path, "2.12.1")
    assert find_server() == str(program)
