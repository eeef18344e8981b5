"""``peyvand bus users`` on its files alone, as an administrator runs it, and ``bus stuck`` as its unit does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.command_line import app
from services.core.errors import SettingsError
from tests.support.limits.small_disk import no_file_beyond
from tests.support.ports import free_port


def users(folder: Path, *words: str) -> str:
    """Return what the command prints; raise its error."""
    out = str(folder / "nats" / "users.conf")
    done = CliRunner().invoke(app, ["bus", "users", str(folder / "users"), "--vantage", "main", "--out", out, *words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_list_of_users_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    """When the disk is full, the servers' list of users keeps its content, and one sentence names it."""
    users(tmp_path)
    listed = tmp_path / "nats" / "users.conf"
    before = listed.read_bytes()
    with no_file_beyond(100), pytest.raises(SettingsError, match=r"users\.conf cannot be written: File too large$"):
        users(tmp_path)
    assert [(path, path.read_bytes()) for path in listed.parent.iterdir()] == [(listed, before)]


def test_a_new_list_of_users_can_be_read_by_whom_the_old_one_could(tmp_path: Path) -> None:
    """The list keeps its owner and its mode, and a link to it stays a link."""
    users(tmp_path)
    listed, elsewhere = tmp_path / "nats" / "users.conf", tmp_path / "elsewhere.conf"
    listed.rename(elsewhere)
    listed.symlink_to(elsewhere)
    elsewhere.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(elsewhere, 12345, 23456)
    before = elsewhere.stat()
    users(tmp_path, "--vantage", "north")
    after = elsewhere.stat()
    assert listed.is_symlink()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_size > before.st_size


def test_a_seed_that_could_not_be_written_is_made_by_the_next_run(tmp_path: Path) -> None:
    """When the disk is full no seed is made; the same command makes it once there is room."""
    with no_file_beyond(0), pytest.raises(SettingsError, match="cannot be written: File too large"):
        users(tmp_path)
    assert not list(tmp_path.rglob("*.nk"))
    assert "made: admin" in users(tmp_path)


def test_the_last_good_seed_is_not_retired(tmp_path: Path) -> None:
    """No previous seed is removed while a new one cannot be used, and the sentence says how to make another."""
    users(tmp_path)
    users(tmp_path, "--replace", "api")
    seed, previous = tmp_path / "users" / "api" / "api.nk", tmp_path / "users" / "api" / "api.nk.before"
    seed.write_bytes(b"")
    sentence = r"api\.nk is no nkey seed: remove it, and `peyvand bus users` or `peyvand up` makes another"
    with pytest.raises(SettingsError, match=sentence):
        users(tmp_path, "--retire")
    assert previous.exists()
    seed.unlink()
    assert "made: api; retired: api" in users(tmp_path, "--retire")
    assert not previous.exists()


def test_the_check_of_a_full_disk_needs_no_right_to_read_the_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`peyvand bus stuck` answers a user who may not read the folder of the streams, as that of its unit."""
    monkeypatch.setattr(os, "access", lambda *_: False)  # to root, every folder is readable
    health = f"127.0.0.1:{free_port()}"
    done = CliRunner().invoke(app, ["bus", "stuck", "--health", health, "--store", str(tmp_path)])
    nothing = f"nothing shows that {health} must be restarted because its disk was full\n"  # nobody listens there
    assert (done.stdout, done.exit_code) == (nothing, 1), done.output
