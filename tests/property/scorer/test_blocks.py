"""Blocks cut from columns hold the rows of the snapshot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.blocks.encode import BlockColumns, encode_blocks, stamp_block
from services.core.codec import ExchangeVolume
from services.core.model.indicator import IndicatorKind
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index.index import compute_indicators
from services.indicator.index.snapshot import Snapshot
from services.indicator.register_arrays import RegisterArrays
from services.scorer.index.members import agency_members
from services.scorer.publishing.blocks import consumer_blocks, government_block
from services.scorer.publishing.columns import IndicatorTable
from services.scorer.publishing.digests import agency_digests
from tests.support.cases.api.indicator_answers import evidence_of, register_of
from tests.support.cases.indicator import Case, cases
from tests.support.values.block_columns import Block, decode_block

VOLUME = ExchangeVolume("a0", "a1", False, 4, 2, 1, 1, 1_600_000_000)


def published(columns: BlockColumns, sequence: int) -> Block:
    """Return what a reader of the bus finds; a block without an indicator is not put."""
    if not len(columns.ids):
        return Block((), exchanges=columns.exchanges)
    (payload,) = encode_blocks([columns])
    return decode_block(stamp_block(payload, sequence))


def rows(snapshot: Snapshot, wanted: dict[IndicatorKind, list[str] | None]) -> list[object]:
    """Return the indicators of a block, one by one."""
    return [row for days in snapshot.windows for kind, ids in wanted.items() for row in snapshot.rows(kind, days, ids)]


@settings(max_examples=60)
@given(case=cases(), sequence=st.sampled_from([0, 1, 2**40]))
def test_blocks_hold_the_rows_of_the_snapshot(case: Case, sequence: int) -> None:
    """Every block comes back as the indicators of its own entities, in all windows, to the last bit; N/A is left out."""
    register = register_of(case.register)
    arrays = RegisterArrays.of(register)
    snapshot = compute_indicators(
        FrozenEvidence.of(arrays, evidence_of(case), case.end_slot, sorted({1, case.days, case.days + 2})),
        evidence_sequence=sequence,
    )
    table = IndicatorTable(snapshot)
    whole = published(government_block(table, [VOLUME]), sequence)
    assert list(whole.indicators) == rows(
        snapshot, dict.fromkeys((IndicatorKind.GOVERNMENT, IndicatorKind.SECTOR, IndicatorKind.PROVIDER))
    )
    assert (whole.links, whole.exchanges) == ((), (VOLUME,))

    own = {agency: [one.id for one in register.services.values() if one.agency == agency] for agency in arrays.agencies}
    endpoints: dict[str, list[str]] = {agency: [] for agency in arrays.agencies}
    for endpoint in register.endpoints.values():
        endpoints[endpoint.agency].append(endpoint.id)
    found = agency_members(register, arrays)
    assert list(found) == [agency for agency in arrays.agencies if own[agency] or endpoints[agency]]
    volumes = [[replace(VOLUME, consumer=agency)] for agency in found]
    blocks = consumer_blocks(table, [*found.values()], volumes, [()] * len(found), [()] * len(found))
    payloads = encode_blocks(blocks)
    assert payloads == [payload for block in blocks for payload in encode_blocks([block])]
    for agency, cut in zip(found, blocks, strict=True):
        links = sorted(link.id for link in register.links.values() if register.consumer(link) == agency)
        block = published(cut, sequence)
        assert list(block.indicators) == rows(
            snapshot,
            {
                IndicatorKind.CONSUMER: [agency],
                IndicatorKind.SERVICE: sorted(own[agency]),
                IndicatorKind.LINK: links,
                IndicatorKind.ENDPOINT: sorted(endpoints[agency]),
            },
        )
        assert block.exchanges == (replace(VOLUME, consumer=agency),)
        assert [one.window_days for one in block.links] == (list(snapshot.windows) if links and len(cut.ids) else [])
        for evidence in block.links:
            columns = snapshot.links[evidence.window_days]
            at = [columns.ids.index(link) for link in links]
            assert list(evidence.ids) == links
            np.testing.assert_array_equal(evidence.slots, columns.slots[at])
            np.testing.assert_array_equal(evidence.verdicts, columns.counts.T[at])
            np.testing.assert_array_equal(evidence.omega, columns.omega[at])
            np.testing.assert_array_equal(evidence.share, columns.share[at])


@settings(max_examples=60)
@given(case=cases())
def test_a_digest_tells_agencies_apart_as_encoding_them_does(case: Case) -> None:
    """Under one register, an agency has the same digest for two sets of evidence exactly if its blocks are equal."""
    register = register_of(case.register)
    arrays = RegisterArrays.of(register)
    found = agency_members(register, arrays)
    less = case.copy()
    less.measurements = case.measurements[: -case.rng.randint(1, 3)]
    none = [()] * len(found)
    digests, said = [], []
    for one in (case, case, less):
        snapshot = compute_indicators(
            FrozenEvidence.of(arrays, evidence_of(one), case.end_slot, [case.days, case.days + 2]), evidence_sequence=1
        )
        digests.append(agency_digests(snapshot, found))
        blocks = consumer_blocks(IndicatorTable(snapshot), [*found.values()], none, none, none)
        said.append(encode_blocks([replace(block, ranks=()) for block in blocks]))
    assert digests[0] == digests[1]
    for number, agency in enumerate(found):
        assert (digests[0][agency] == digests[2][agency]) == (said[0][number] == said[2][number])
