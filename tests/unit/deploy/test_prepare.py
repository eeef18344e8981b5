"""deploy/prepare.sh works as operators call it: once, and again after a change."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from tests.support.forked_command import forked_peyvand
from tests.support.paths import ROOT
from tests.support.programs import program
from tests.support.waiting import DEADLINE

SCRIPT = ROOT / "deploy" / "prepare.sh"
WEBHOOKS = {"PAGES_URL": "http://127.0.0.1:9/pages", "TICKETS_URL": "http://127.0.0.1:9/tickets?a=1&b=2"}
TRUSTED = ("ca.pem", "nats/ca.pem")
SHOWN = ("nats/server.pem", "nats/server.key")


def _prepare(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script with these variables and none of the machine's."""
    program("openssl", "openssl")
    environ = {"PATH": os.environ["PATH"], "PEYVAND": str(forked_peyvand()), "OWNER": str(os.getuid()), **variables}
    return subprocess.run(
        [SCRIPT, folder], env=environ, capture_output=True, text=True, check=False, timeout=DEADLINE, cwd=folder.parent
    )


def _prepared(folder: Path, **variables: str) -> str:
    done = _prepare(folder, **variables)
    assert done.returncode == 0, done.stderr
    return done.stderr


def _admitted(folder: Path) -> int:
    """Return how many users the servers' list has."""
    text = (folder / "nats" / "users.conf").read_text("utf-8")
    return sum(len(account.get("users", ())) for account in json.loads(text.partition("accounts: ")[2]).values())


def _subjects(folder: Path) -> set[str]:
    """Return the vantages and data buses with admitted users, by the subjects that these publish to."""
    text = (folder / "nats" / "users.conf").read_text("utf-8")
    return {name for name in re.findall(r'"peyvand\.v1\.(?:measurement|exchange)\.([^".]+)\.', text) if name != "*"}


def test_who_was_admitted_stays(tmp_path: Path) -> None:
    """A call without names, as after a rotation, admits every vantage and bus that was admitted before."""
    folder = tmp_path / "of two words"
    _prepared(folder, VANTAGES="north south-east", BUSES="xroad misp")
    assert _subjects(folder) == {"north", "south-east", "xroad", "misp"}
    count = _admitted(folder)
    _prepared(folder)
    assert _subjects(folder) == {"north", "south-east", "xroad", "misp"}
    assert _admitted(folder) == count


def test_who_is_named_later_is_added(tmp_path: Path) -> None:
    """A vantage that is named alone is added to the others. A user is no longer admitted once its folder is removed."""
    _prepared(tmp_path, VANTAGES="north")
    _prepared(tmp_path, VANTAGES="west north")
    assert _subjects(tmp_path) == {"north", "west", "xroad"}
    (tmp_path / "users" / "prober-north" / "prober.nk").unlink()
    (tmp_path / "users" / "prober-north").rmdir()
    _prepared(tmp_path)
    assert _subjects(tmp_path) == {"west", "xroad"}


def test_a_rotation_admits_both_seeds_until_it_is_ended(tmp_path: Path) -> None:
    """Between `--replace` and `--retire` the old seed is admitted too, and nothing is recreated."""
    _prepared(tmp_path, VANTAGES="north south")
    count, seed = _admitted(tmp_path), tmp_path / "users" / "prober-north" / "prober.nk"
    authority = (tmp_path / "ca.pem").read_bytes()
    users: list[str | Path] = [forked_peyvand(), "bus", "users", tmp_path / "users"]
    out: list[str | Path] = ["--vantage", "north", "--vantage", "south", "--out", tmp_path / "nats" / "users.conf"]
    subprocess.run([*users, *out, "--replace", "prober-north"], check=True, capture_output=True)
    replaced = seed.read_bytes()
    _prepared(tmp_path)
    assert (_admitted(tmp_path), seed.read_bytes(), (tmp_path / "ca.pem").read_bytes()) == (
        count + 1,
        replaced,
        authority,
    )


def _files(folder: Path, *names: str) -> list[bytes]:
    return [(folder / name).read_bytes() for name in names]


def _take(folder: Path, real: Path, *names: str) -> None:
    """Copy files of a real authority into a folder."""
    (folder / "nats").mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copy(real / name, folder / name)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of another authority."""
    folder = tmp_path_factory.mktemp("real")
    _prepared(folder)
    return folder


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after a first call without names. A test that calls again copies it."""
    folder = tmp_path_factory.mktemp("first")
    _prepared(folder)
    return folder


def test_a_real_authority_s_files_stay(tmp_path: Path, real: Path, first: Path) -> None:
    """A real authority's files that replaced the generated ones are unchanged after the next calls."""
    folder = tmp_path / "secrets"
    shutil.copytree(first, folder)
    assert _files(folder, "ca.pem") != _files(real, "ca.pem")
    _take(folder, real, *TRUSTED, *SHOWN)
    _prepared(folder, VANTAGES="north")
    assert _files(folder, *TRUSTED, *SHOWN) == _files(real, *TRUSTED, *SHOWN)
    (folder / "nats" / "ca.pem").unlink()
    _prepared(folder)
    assert _files(folder, *TRUSTED, *SHOWN) == _files(real, *TRUSTED, *SHOWN)


@pytest.mark.parametrize("left", [("archive/archive.pub",), ("nats/ca.pem",), TRUSTED])
def test_what_a_call_left_empty_is_completed(tmp_path: Path, first: Path, left: tuple[str, ...]) -> None:
    """The call after one that died in the middle of a file writes that file, and changes no other."""
    folder = tmp_path / "secrets"
    shutil.copytree(first, folder)
    for name in left:
        (folder / name).write_bytes(b"")
    _prepared(folder)
    kept = ("archive/archive.key", "archive/archive.pub", *TRUSTED, *SHOWN)
    assert _files(folder, *kept) == _files(first, *kept)


def test_no_authority_is_made_beside_a_real_one(tmp_path: Path, real: Path) -> None:
    """Where a real authority's files existed first, no key is made that could issue others."""
    folder = tmp_path / "secrets"
    _take(folder, real, "ca.pem", *SHOWN)
    _prepared(folder)
    assert not (folder / "authority").exists()
    assert _files(folder, *TRUSTED, *SHOWN) == _files(real, *TRUSTED, *SHOWN)


@pytest.mark.parametrize("lab", [False, True])
def test_a_real_authority_is_not_replaced_by_ours(tmp_path: Path, real: Path, first: Path, lab: bool) -> None:
    """A missing server certificate is refused in a sentence, not issued by an authority that nobody trusts."""
    folder = tmp_path / "secrets"
    if lab:
        shutil.copytree(first, folder)
        (folder / "nats" / "server.pem").unlink()
    _take(folder, real, *TRUSTED)
    refused = _prepare(folder)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"{folder / 'ca.pem'} does not trust the authority in {folder / 'authority'}" in refused.stderr
    assert _files(folder, *TRUSTED) == _files(real, *TRUSTED)
    assert not (folder / "nats" / "server.pem").exists()


def test_a_certificate_is_made_anew(tmp_path: Path, real: Path, first: Path) -> None:
    """Once the old certificate is removed, the same authority issues one for HOSTS. Other trusted authorities stay."""
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    (before,) = _files(tmp_path, "nats/server.pem")
    both = b"".join(_files(tmp_path, "ca.pem") + _files(real, "ca.pem"))
    (tmp_path / "ca.pem").write_bytes(both)
    (tmp_path / "nats" / "server.pem").unlink()
    _prepared(tmp_path, HOSTS="bus.example.org 192.0.2.10 2001:db8::a")
    assert _files(tmp_path, "ca.pem") == [both]
    assert _files(tmp_path, "nats/server.pem") != [before]
    certificate = x509.load_pem_x509_certificate(_files(tmp_path, "nats/server.pem")[0])
    authority = x509.load_pem_x509_certificate(_files(tmp_path, "nats/ca.pem")[0])
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["bus.example.org"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("192.0.2.10"), ip_address("2001:db8::a")]


def test_a_name_that_no_certificate_holds_is_refused(tmp_path: Path, first: Path) -> None:
    """The script says which HOSTS a certificate cannot hold, and why. The key of the servers' certificate stays."""
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    (tmp_path / "nats" / "server.pem").unlink()
    key = _files(tmp_path, "nats/server.key")
    refused = _prepare(tmp_path, HOSTS="localhost bus.example.org,192.0.2.10")
    assert refused.returncode == 1
    assert "failed, for HOSTS as DNS:localhost,DNS:bus.example.org,192.0.2.10: " in refused.stderr
    assert _files(tmp_path, "nats/server.key") == key
    _prepared(tmp_path, HOSTS="localhost 192.0.2.10")
    assert _files(tmp_path, "nats/server.key") != key


def test_a_host_without_openssl_is_told_so(tmp_path: Path) -> None:
    """Where openssl is missing, as in a small image, the script says so and creates no certificate."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("cat", "dirname", "id", "mkdir"):
        (tools / name).symlink_to(program(name, "coreutils"))
    refused = _prepare(tmp_path / "secrets", PATH=str(tools))
    assert refused.returncode == 1
    assert "`openssl req` failed: " in refused.stderr
    assert "not found" in refused.stderr
    assert not list((tmp_path / "secrets").rglob("*.pem"))


def test_without_names_there_are_main_and_xroad(first: Path) -> None:
    """The first call without names creates the users of one vantage, main, and one bus, xroad."""
    assert _subjects(first) == {"main", "xroad"}


def test_it_says_when_nobody_is_told(tmp_path: Path) -> None:
    """Each webhook that Alertmanager lacks is one sentence. A webhook given before is kept and not asked for again."""
    said = _prepared(tmp_path, PAGES_URL=WEBHOOKS["PAGES_URL"])
    assert said.count("\n") == 1
    assert "Alertmanager has no webhook for tickets and tells nobody of them: give TICKETS_URL" in said
    assert _prepared(tmp_path, **WEBHOOKS) == ""
    assert _prepared(tmp_path) == ""
    assert (tmp_path / "alertmanager" / "tickets-url").read_text("utf-8") == WEBHOOKS["TICKETS_URL"] + "\n"


def test_files_that_nobody_could_read_are_not_made(tmp_path: Path) -> None:
    """Any user but root is refused in a sentence, because only root can give seeds to the image's user."""
    if os.getuid() == 0:
        (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
        (tmp_path / "id").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    refused = _prepare(tmp_path / "secrets", OWNER="10001:10001", PATH=path)
    assert refused.returncode == 1
    assert "only root can give the files to UID 10001" in refused.stderr
    assert not (tmp_path / "secrets").exists()
    if os.getuid() == 0:
        _prepared(tmp_path / "secrets", OWNER="1000:1000", PATH=path)


def test_alerts_lead_to_where_pages_are_served(tmp_path: Path, first: Path) -> None:
    """With RUNBOOKS, also from an earlier call, Prometheus gets rules that differ only in their runbook URLs."""
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    assert not (tmp_path / "rules").exists()
    _prepared(tmp_path, RUNBOOKS="https://git.example/peyvand/")
    (tmp_path / "rules" / "monitor.yaml").write_text("of an older version")
    _prepared(tmp_path)
    ours = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yaml"))
    assert [file.name for file in ours] == sorted(file.name for file in (tmp_path / "rules").iterdir())
    for file in ours:
        made, text = tmp_path / "rules" / file.name, file.read_text("utf-8")
        written = text.replace("runbook_url: docs/", "runbook_url: https://git.example/peyvand/docs/")
        assert (made.read_text("utf-8"), made.stat().st_mode & 0o777) == (written, 0o644)
    subprocess.run(
        [program("promtool", "prometheus"), "check", "rules", *(tmp_path / "rules").glob("*.yaml")],
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("base", ["git.example/peyvand", "https://git.example/a|b", "https://git.example/a b"])
def test_what_is_no_address_is_refused(tmp_path: Path, base: str) -> None:
    """RUNBOOKS that would spoil the rules ends the script before it creates anything."""
    refused = _prepare(tmp_path / "secrets", RUNBOOKS=base)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "RUNBOOKS" in refused.stderr
    assert not (tmp_path / "secrets").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="gives files to others: as root only")
def test_root_gives_the_files_to_who_reads_them(tmp_path: Path) -> None:
    """The image's user owns the files of users, including those of a user that is added later."""
    _prepared(tmp_path, OWNER="10001:10001")
    _prepared(tmp_path, OWNER="10001:10001", VANTAGES="north")
    assert _owners(tmp_path / "users") == {10001}


def test_files_stay_the_callers_where_units_are_handed_seeds(tmp_path: Path) -> None:
    """In another folder, as on a host with systemd, the caller keeps the files: the image's UID is unknown there."""
    _prepared(tmp_path, OWNER="")
    assert _owners(tmp_path) == {os.getuid()}
    assert {seed.stat().st_mode & 0o777 for seed in (tmp_path / "users").rglob("*.nk")} == {0o600}


@pytest.mark.skipif(os.getuid() != 0, reason="gives files to others: as root only")
def test_the_image_s_user_gets_the_seeds_of_the_stack(tmp_path: Path) -> None:
    """Called without a folder, as for deploy/compose.yaml, it gives the seeds to the image's user."""
    shutil.copy(SCRIPT, tmp_path)
    environ = {"PATH": os.environ["PATH"], "PEYVAND": str(forked_peyvand())}
    subprocess.run([tmp_path / SCRIPT.name], env=environ, check=True, capture_output=True, timeout=DEADLINE)
    assert _owners(tmp_path / "secrets" / "users") == {10001}


def _owners(folder: Path) -> set[int]:
    return {path.stat().st_uid for path in folder.rglob("*")}
