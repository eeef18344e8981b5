"""Whole logs, read offline."""

from __future__ import annotations

import os

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
