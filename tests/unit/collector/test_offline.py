"""Whole logs, read offline."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.collector.offline import digest_logs
from services.core.errors import InputError


def test_a_log_may_have_any_name(tmp_path):
    """A log whose name is not UTF-8 is read, and faults show its bytes escaped."""
    log = tmp_path / os.fsdecode(b"\xff.log")
    log.write_bytes(b"{\n")
    with pytest.raises(InputError) as caught, digest_logs([log], 300, span_ms=1000, skip_bad=False):
        pass
    assert [fault.file for fault in caught.value.faults] == [rf"{tmp_path}/\xff.log"]


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
