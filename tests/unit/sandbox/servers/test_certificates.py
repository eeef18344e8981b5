from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.core.errors import StateError
from services.sandbox.servers.certificates import open_authority, untrusted_contexts

HOST = "127.1.0.1"


def shake(server: ssl.SSLContext, directory, host: str = HOST) -> Any:
    """Shake hands in memory, verify against the authority, and return the peer's certificate."""
    client = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    one, two = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(one, two, server_hostname=host)
    theirs = server.wrap_bio(two, one, server_side=True)
    for _ in range(4):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    found = ours.getpeercert()
    assert found
    return found


def test_a_good_server_is_trusted(tmp_path):
    """A server's certificate verifies against ca.pem for its own address and no other."""
    context = open_authority(tmp_path, datetime.now(UTC)).context([HOST])
    assert ("IP Address", HOST) in shake(context, tmp_path)["subjectAltName"]
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        shake(context, tmp_path, "127.1.0.2")


@pytest.mark.parametrize(
    ("variant", "reason"),
    [(0, "certificate has expired"), (1, "IP address mismatch"), (2, "self-signed certificate")],
)
def test_a_bad_server_is_refused_for_its_own_reason(tmp_path, variant, reason):
    """A verifying client refuses each form of a broken certificate for another reason."""
    context = untrusted_contexts(open_authority(tmp_path, datetime.now(UTC)), [HOST])[variant]
    with pytest.raises(ssl.SSLCertVerificationError, match=reason):
        shake(context, tmp_path)


def test_an_authority_outlives_a_restart(tmp_path):
    """After a restart the authority is the same, so that clients with the old ca.pem still trust its servers."""
    open_authority(tmp_path, datetime.now(UTC))
    before = (tmp_path / "ca.pem").read_bytes()
    context = open_authority(tmp_path, datetime.now(UTC)).context([HOST])
    assert (tmp_path / "ca.pem").read_bytes() == before
    assert shake(context, tmp_path)


def test_an_authority_is_renewed(tmp_path):
    """An authority that expires soon, or whose key does not fit, is replaced by a working one."""
    open_authority(tmp_path, datetime.now(UTC) - timedelta(days=2 * 365 - 10))
    before = (tmp_path / "ca.pem").read_bytes()
    assert shake(open_authority(tmp_path, datetime.now(UTC)).context([HOST]), tmp_path)
    assert (tmp_path / "ca.pem").read_bytes() != before
    (tmp_path / "ca.key").write_text("no key")
    assert shake(open_authority(tmp_path, datetime.now(UTC)).context([HOST]), tmp_path)


def test_private_keys(tmp_path, monkeypatch):
    """Only the authority's key stays, readable only by its owner. Keys of servers leave no file behind."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    authority = open_authority(tmp_path, datetime.now(UTC))
    authority.context([HOST])
    untrusted_contexts(authority, [HOST])
    assert not list(scratch.iterdir())
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"ca.key", "ca.pem", "scratch"}


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    """An authority that cannot be stored is reported with its directory."""
    with pytest.raises(StateError, match=r"authority in .*missing cannot be read or written"):
        open_authority(tmp_path / "missing", datetime.now(UTC))
