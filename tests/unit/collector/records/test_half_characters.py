"""Records with escapes that are half a character."""

from __future__ import annotations

import io
import json

import pytest

from services.collector.records.formats import read


@pytest.mark.parametrize("name", ["serviceCode", "messageId", "never read"])
def test_half_a_character_makes_one_record_bad(raw, name):
    """JSON can escape half a character, which is no text. A record with that in a field that is read is refused alone."""
    halves = (r"\ud800", r"\uDFFF", r"\\\ud83d", r"\ude00\ud83d", r"\ud83d\ud83d\ude00")
    whole = (r"\ud83d\ude00", r"\\ud800", r"\\\ud83d\ude00", r"\u0641")
    records = [json.dumps(raw(**{name: "HERE"})).replace("HERE", text).encode() for text in (*halves, *whole)]
    for content in (b"[" + b",".join(records) + b"]", b"\n".join(records) + b"\n"):
        batches = list(read(io.BytesIO(content)))
        sides = [side for batch in batches for side in batch.sides]
        rejects = [reject for batch in batches for reject in batch.rejects]
        bad = range(0) if name == "never read" else range(1, 1 + len(halves))
        assert len(sides) == len(records) - len(bad)
        assert [(reject.number, reject.reason) for reject in rejects] == [(number, "it is not JSON") for number in bad]
