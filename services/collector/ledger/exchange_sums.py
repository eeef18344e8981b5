"""Sums what many exchanges add to summaries at once, from sides as they are stored (docs/exchange.md §3). Pure.

The client's view counts if it was logged. Only both views together tell the skew of the clocks, producer - client. It
is half the difference between the times that request and response took between the two servers. These times cancel out
if both ways take equally long (the offset formula of RFC 5905, section 8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.collector.ledger.pairing import pair_sides
from services.collector.ledger.sides import NONE, SIDE, SideKind, unpacked
from services.collector.ledger.summary import BOUNDS, SummaryCounts
from services.collector.records import LARGEST_SIZE, ExchangeResult
from services.core.model import DURATION_BUCKETS

_Places = NDArray[np.int64]
_OK = ExchangeResult.OK.value


class Counted(NamedTuple):
    """A request whose exchanges are added (``sign`` 1) or subtracted (-1).

    ``sides`` are as they are stored. The request is ``repeated`` if it repeats another one.
    """

    sides: bytes
    sign: int
    repeated: bool


def sum_exchanges(
    requests: Sequence[Counted], span_ms: int, slots_of: Callable[[_Places], _Places]
) -> Mapping[tuple[int, int], SummaryCounts]:
    """Return by (pair, slot) what to add to the summary. ``slots_of`` returns the slot starts of moments, in seconds.

    Sums are exact, whatever sizes records claim.
    """
    if not requests:
        return {}
    sides = np.frombuffer(b"".join([one.sides for one in requests]), SIDE)
    request, client, producer, later = _paired(requests, sides, span_ms)
    sign = np.array([one.sign for one in requests], np.int64)[request]
    repeated = np.array([one.repeated for one in requests], bool)[request] | later

    both = (client >= 0) & (producer >= 0)
    speaker = sides[np.where(client >= 0, client, producer)]
    ours, theirs = sides[client], sides[producer]  # -1 stands for none, and picks a side that is not used
    result = np.where((producer >= 0) & ((client < 0) | (ours["result"] == _OK)), theirs["result"], speaker["result"])
    skewed = both & (ours["request_out"] != NONE) & (ours["response_in"] != NONE)
    there, back = theirs["request_in"] - ours["request_out"], ours["response_in"] - theirs["response_out"]
    duration = np.maximum(speaker["response_out"] - speaker["request_in"], 0)
    columns = [
        np.ones_like(sign),
        *(result == one for one in ExchangeResult),
        *(_size(name, speaker, theirs, both) for name in ("request_bytes", "response_bytes")),
        ~both & (speaker["kind"] != SideKind.WHOLE),
        np.where(skewed, there - back, 0),
        skewed,
        duration,
        repeated,
    ]
    numbers = np.stack(columns, axis=1).astype(_exact(sides)) * sign[:, np.newaxis]

    pair, slot = speaker["pair"].astype(np.int64), slots_of(speaker["request_in"])
    order = np.lexsort((slot, pair))
    pair, slot = pair[order], slot[order]
    begins = np.concatenate(([True], (pair[1:] != pair[:-1]) | (slot[1:] != slot[:-1])))
    starts, group = np.flatnonzero(begins), np.cumsum(begins) - 1
    buckets = np.zeros((len(starts), DURATION_BUCKETS), np.int64)
    np.add.at(buckets, (group, np.searchsorted(BOUNDS, duration[order])), sign[order])
    sums = np.add.reduceat(numbers[order], starts)
    keys = zip(pair[starts].tolist(), slot[starts].tolist(), strict=True)
    return dict(zip(keys, map(SummaryCounts, sums.tolist(), buckets.tolist()), strict=True))


def _exact(sides: NDArray[Any]) -> type:
    """Return the type in which sums are exact: 64 bits for sizes that are accepted, Python numbers for larger ones."""
    sizes = (sides["request_bytes"], sides["response_bytes"])
    return object if any(each.max() > LARGEST_SIZE for each in sizes) else np.int64


def _size(name: str, speaker: NDArray[Any], producer: NDArray[Any], both: NDArray[np.bool_]) -> _Places:
    """Return sizes as the speaker saw them, else as the producer did; 0 when unknown."""
    sizes = np.where(both & (speaker[name] == NONE), producer[name], speaker[name])
    return np.where(sizes == NONE, 0, sizes)


def _paired(
    requests: Sequence[Counted], sides: NDArray[Any], span_ms: int
) -> tuple[_Places, _Places, _Places, NDArray[np.bool_]]:
    """Return of each exchange its request, its client's and producer's side, and whether another one comes before it.

    Sides are given by their places, -1 for none. The other exchange is one of the same request.
    """
    lengths = np.array([len(one.sides) for one in requests]) // SIDE.itemsize
    first = np.cumsum(lengths) - lengths
    produced = sides["kind"] == SideKind.PRODUCER
    second = np.minimum(first + 1, len(sides) - 1)
    near = np.abs(sides["request_in"][first] - sides["request_in"][second]) <= span_ms
    alone, pair = lengths == 1, (lengths == 2) & (produced[first] != produced[second]) & near  # as nearly all are
    plain = alone | pair
    one, other = first[plain], np.where(pair, second, -1)[plain]
    client, producer = np.where(produced[one], other, one), np.where(produced[one], one, other)
    request, later = np.flatnonzero(plain), np.zeros(int(plain.sum()), bool)
    rest = [
        (at, *(first[at] + side.place if side else -1 for side in exchange), number > 0)
        for at in np.flatnonzero(~plain).tolist()
        for number, exchange in enumerate(pair_sides(unpacked(requests[at].sides), span_ms))
    ]
    if rest:
        more = np.array(rest, np.int64).T
        request, client, producer = (
            np.concatenate(two) for two in zip((request, client, producer), more, strict=False)
        )
        later = np.concatenate((later, more[3].astype(bool)))
    return request, client, producer, later
