"""Limits of a request id, and of a sum, in the collector's state."""

from __future__ import annotations

import io
import json

import pytest
from msgspec import structs

from services.collector.ledger.batch_result import BatchResult
from services.collector.ledger.ledger import Ledger
from services.collector.publisher import messages
from services.collector.records.batch import RecordBatch, SourcePosition
from services.collector.records.formats import read
from services.collector.records.xroad import read_side
from services.core import codec
from tests.support.cases.ledger import NOW, SLOT_SECONDS, batch


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_one_request_id_has_few_sides(raw, size):
    """Of an id of fifty clients and fifty producers, 64 sides are kept, also across batches, and none is written again
    for later ones. Each later side is rejected at its place, and again when it is repeated.
    """
    lines = [
        json.dumps(raw(NOW - 1000, messageId=f"m-{number}", securityServerType=("Client", "Producer")[number % 2]))
        for number in range(100)
    ]
    content = ("\n".join(["", *lines[:70], "", *lines[69:], lines[0]]) + "\n").encode()
    with Ledger(None, SLOT_SECONDS, now_ms=NOW) as ledger:
        taken = [ledger.take("log", some, now_ms=NOW) for some in read(io.BytesIO(content), size=size)]
        total = sum(taken, BatchResult())
        assert (total.read, total.duplicates, total.rejected, total.paired) == (102, 1, 37, 32)
        places = [(one.number, one.length, one.unit) for some in taken for one in some.refused]
        assert places == [
            (number, len(content.splitlines()[number - 1]), "line") for number in (*range(66, 72), *range(73, 104))
        ]
        assert {one.reason for some in taken for one in some.refused} == {"64 other records have its xRequestId"}
        assert (ledger.totals().exchanges, ledger.totals().orphans) == (32, 0)
        before = ledger._facts["revision"]
        assert ledger.take("log", batch(json.loads(lines[99])), now_ms=NOW).rejected == 1
        assert ledger._facts["revision"] == before


def told(ledger):
    """Return the next summaries for the bus, decoded, by slot."""
    [message] = messages("bus", "", ledger.unpublished(10))
    return {one.slot_start: one for one in codec.decode_summaries(message.payload)[1]}


@pytest.mark.parametrize("batches", [(range(1200),), (range(600), range(600, 1200))])
def test_sums_stop_before_they_are_too_large_for_the_state(ledger, both, batches):
    """Whatever records claim, in one batch or in two, a sum stops at 2^61, and at 0 when it is subtracted from.
    Counts stay exact, and nothing fails.
    """
    early, late = 1_699_999_500, 1_699_999_800
    ours, theirs = (read_side(one) for one in both(late * 1000 - 20, requestSize=None))
    theirs = structs.replace(theirs, request_bytes=(1 << 53) - 1)
    for side in (theirs, ours):
        for line, numbers in enumerate(batches):
            ids = [number.to_bytes(15, "big") for number in numbers]
            some = [structs.replace(side, digest=bytes([side.producer]) + one, request=b"x" + one) for one in ids]
            ledger.take("log", RecordBatch(tuple(some), (), SourcePosition(0, line)), now_ms=NOW)
        if side is theirs:
            [found] = told(ledger).values()
            assert (found.slot_start, found.count, found.orphans) == (late, 1200, 1200)
            assert (found.request_bytes, found.response_bytes) == (1 << 61, 1200 * 900)
    found = told(ledger)
    assert (found[late].count, found[late].request_bytes, found[late].response_bytes) == (0, 0, 0)
    assert (found[early].count, found[early].request_bytes, found[early].response_bytes) == (1200, 1 << 61, 1200 * 900)
