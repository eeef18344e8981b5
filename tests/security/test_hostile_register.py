"""A register whose author is not the administrator of the hosts reads nothing of theirs, and stops no process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.core.errors import InputError
from services.core.model.outcome import Reason
from services.core.model.probe import Auth, Tls
from services.core.settings import Settings
from services.prober.kinds.kind import ProbeEnvironment
from services.register.directory.load import load_register
from tests.support.forked import run
from tests.support.registers import register_files, write_register
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import LOOPBACK, ask, says, serving


def check(directory: Path) -> str:
    """Return what `register check` says about a register that it refuses, without the directory's path."""
    done = run("services.cli", "register", "check", directory)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.replace(f"{directory}/", "")


def refusal(directory: Path) -> str:
    """Return what a process of ours says about a register that it refuses."""
    with pytest.raises(InputError) as refused:
        load_register(directory)
    return refused.value.report()


PROBES = "page: {kind: http, body: 'file:content'}\ninquiry: {kind: http, expect: {schema: 'file:content'}}\n"


def register_without(directory: Path, name: str) -> Path:
    """Write a register whose definitions read `content`, without one of its files. Return the path of that file."""
    write_register(directory, probes_yaml=PROBES)
    (directory / "content").write_text("{}")
    (directory / name).unlink(missing_ok=True)
    return directory / name


@pytest.mark.parametrize("name", ["links.csv", "probes.yaml", "content"])
def test_files_that_would_be_read_for_ever(tmp_path: Path, name: str) -> None:
    """A pipe that nobody writes to, and a link to a device without end, are refused at once."""
    pipe, device = (register_without(tmp_path / kind, name) for kind in ("pipe", "device"))
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    assert "cannot be read: it is not a regular file" in check(pipe.parent)
    assert "cannot be read: it lies outside the folders from which files may be read" in check(device.parent)


@pytest.mark.parametrize("name", [*register_files(), "members.csv", "content"])
def test_links_to_files_of_the_host(tmp_path: Path, name: str) -> None:
    """A file of the register that leads out of its directory is not read, and nothing of it is repeated."""
    host = tmp_path / "host"
    host.write_text("s3cr3t,column\n")
    register_without(tmp_path / "register", name).symlink_to(host)
    said = refusal(tmp_path / "register")
    assert "cannot be read: it lies outside the folders from which files may be read" in said
    assert "s3cr3t" not in said


@pytest.mark.parametrize("reference", ["file:../host", "file:{host}", "file:./sub/../../host"])
@pytest.mark.parametrize("key", ["body", "descriptors", "schema"])
def test_paths_that_the_publisher_does_not_read(tmp_path: Path, key: str, reference: str) -> None:
    """A body, a schema or descriptors outside the register directory are refused, by whatever path they are named."""
    host = tmp_path / "host"
    host.write_text('{"s3cr3t": true}')
    named = reference.format(host=host)
    probes = {
        "body": f"page: {{kind: http, body: '{named}'}}\n",
        "schema": f"page: {{kind: http, expect: {{schema: '{named}'}}}}\n",
        "descriptors": f"page: {{kind: grpc, call: a.B/C, descriptors: '{named}'}}\n",
    }
    directory = write_register(tmp_path / "register", probes_yaml=probes[key])
    (directory / "sub").mkdir()
    said = refusal(directory)
    assert "cannot be read: it lies outside the folders from which files may be read" in said
    assert "s3cr3t" not in said


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder from which a prober may read."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def _prober(home: Path) -> ProbeEnvironment:
    environment = ProbeEnvironment.of(Settings(probe_files=f"/nonexistent, {home}"))
    environment.outbound.adopt(LOOPBACK)
    return environment


@pytest.mark.parametrize("place", ["outside", "linked", "pipe", "device", "large", "variable"])
async def test_secrets_that_the_prober_does_not_send(home: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret outside the folders and variables of the settings is not read, and nothing is sent: OWN_CREDENTIAL."""
    monkeypatch.setenv("HOST_TOKEN", "s3cr3t")
    outside = home.parent / "token"
    outside.write_text("s3cr3t")
    (home / "linked").symlink_to(outside)
    os.mkfifo(home / "pipe")
    (home / "large").write_text("s3cr3t" * (64 << 10))
    references = {"outside": f"file:{home}/../token", "variable": "env:HOST_TOKEN", "device": "file:/dev/zero"}
    token = references.get(place, f"file:{home / place}")
    environment = _prober(home)
    try:
        async with serving(says()) as server:
            result = await ask(server.url(), environment=environment, auth=Auth("bearer", token=token))
    finally:
        await environment.close()
    assert result.judgement.reason is Reason.OWN_CREDENTIAL
    assert server.requests == []
    assert "s3cr3t" not in result.judgement.detail


@pytest.mark.parametrize("key", ["ca", "certificate"])
async def test_files_for_tls_that_the_prober_does_not_read(home: Path, key: str) -> None:
    """Authorities and a client certificate outside the folders of the settings are not used: OWN_CREDENTIAL."""
    authority = Authority.make(home.parent)
    inside = home / "ca.pem"
    inside.write_bytes(Path(authority.reference.removeprefix("file:")).read_bytes())
    certificate, private = authority.client()
    tls = {
        "ca": Tls(ca=authority.reference),
        "certificate": Tls(ca=f"file:{inside}", certificate=f"file:{certificate}", key=f"file:{private}"),
    }
    environment = _prober(home)
    try:
        async with serving(says(), tls=authority.context("127.0.0.1")) as server:
            refused = await ask(server.url(), environment=environment, tls=tls[key])
            allowed = await ask(server.url(), environment=environment, tls=Tls(ca=f"file:{inside}"))
    finally:
        await environment.close()
    assert refused.judgement.reason is Reason.OWN_CREDENTIAL
    assert "outside the folders" in refused.judgement.detail
    assert allowed.judgement.reason is Reason.OK


async def test_what_the_settings_name_is_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file below a folder of the settings and a variable with their prefix are sent."""
    monkeypatch.setenv("PROBE_TOKEN", "from-variable")
    (home / "token").write_text("from-file\n")
    environment = _prober(home)
    try:
        async with serving(says()) as server:
            for token in ("env:PROBE_TOKEN", f"file:{home}/./token"):
                result = await ask(server.url(), environment=environment, auth=Auth("bearer", token=token))
                assert result.judgement.reason is Reason.OK
    finally:
        await environment.close()
    assert [one.header("authorization") for one in server.requests] == ["Bearer from-variable", "Bearer from-file"]
