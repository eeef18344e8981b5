"""Whole logs, read offline."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from services.collector.ledger import Ledger
from services.collector.offline import digest_logs
from services.core.errors import InputError, StateError
from tests.support.cases.ledger import NOW, batch
from tests.support.limits.small_disk import no_file_beyond
from tests.support.values.exchange_records import record


def test_a_log_may_have_any_name(tmp_path):
    """A log whose name is not UTF-8 is read, and faults show its bytes escaped."""
    log = tmp_path / os.fsdecode(b"\xff.log")
    log.write_bytes(b"{\n")
    with pytest.raises(InputError) as caught, digest_logs([log], 300, span_ms=1000, skip_bad=False):
        pass
    assert [fault.file for fault in caught.value.faults] == [rf"{tmp_path}/\xff.log"]


def test_faults_are_in_the_order_of_records(tmp_path):
    """The tenth record of a document comes after the second, as it does in the file."""
    (tmp_path / "log.json").write_bytes(b"[" + b",".join([b"7"] * 12) + b"]")
    with pytest.raises(InputError) as caught, digest_logs([tmp_path / "log.json"], 300, span_ms=1, skip_bad=False):
        pass
    assert [str(fault).split(": ")[1] for fault in caught.value.faults] == [f"record {one}" for one in range(1, 13)]


def test_a_pipe_is_refused_with_the_reason():
    """A pipe, such as what `zcat` writes, is no log: the fault says to save it as a file."""
    reader, writer = os.pipe()
    os.write(writer, b"{}\n")
    os.close(writer)
    try:
        with (
            pytest.raises(InputError) as caught,
            digest_logs([Path(f"/dev/fd/{reader}")], 300, span_ms=1000, skip_bad=False),
        ):
            pass
    finally:
        os.close(reader)
    assert [fault.reason for fault in caught.value.faults] == [
        "a pipe cannot be read from the beginning again: save what it gives as a file"
    ]


@pytest.mark.parametrize("named", [True, False])
def test_what_is_stored_of_logs_is_on_a_disk(tmp_path, monkeypatch, named):
    """It is in /var/tmp, because a large log would fill a /tmp that is in memory, or in the folder that TMPDIR names."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path) if named else "")
    if not named and not os.access("/var/tmp", os.W_OK):
        pytest.skip("/var/tmp is not there, or this user may not write to it")
    with Ledger(None, 300, now_ms=0) as ledger:
        folder = Path(ledger._requests._database.path())
        assert folder.parent == (tmp_path if named else Path("/var/tmp"))
    assert not folder.exists()


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    """If what is stored of the logs does not fit on the disk, the error names the file, and the variable that moves it."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    records = batch(*(record(NOW, xRequestId=str(number)) for number in range(1000)))
    sentence = (
        f"the temporary state cannot be written: .*{tmp_path}.*File too large; TMPDIR may name another folder for it$"
    )
    with Ledger(None, 300, now_ms=NOW) as ledger, no_file_beyond(65_536), pytest.raises(StateError, match=sentence):
        ledger.take("log", records, now_ms=NOW)
