"""Deeply nested records."""

from __future__ import annotations

import io

import pytest

from services.collector.records.formats import read


@pytest.mark.parametrize("depth", [254, 255, 900])
def test_a_bad_record_may_be_nested_deep(depth):
    """A record that the JSON reader takes and the writer would not is reported like any other, in either format."""
    deep = b'{"x": ' + b"[" * depth + b"]" * depth + b"}"
    for content, reason in (
        (b"[" + deep + b"]", f"({len(deep)} bytes)"),
        (deep + b"\n", f"(line of {len(deep)} bytes)"),
    ):
        rejects = [reject for batch in read(io.BytesIO(content)) for reject in batch.rejects]
        assert rejects
        assert all(str(reject.fault("log")).endswith(reason) for reject in rejects)
