"""The evidence of several agencies is in the blocks of their group."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest

from services.core.blocks import RecentBlock, SlotBlock, decode_slot_block, encode_slot_blocks, stamp_slot_block
from services.core.codec import decode_columns
from services.core.model import RecentRows, Target
from services.core.model.register import Register
from services.scorer.index import CompiledRegister, members
from services.scorer.publishing import recent
from services.scorer.publishing.blocks import slot_blocks
from services.scorer.publishing.encode import encode_target_blocks
from tests.support.cases.scoring import SLOT, START, Run, register, stream

__all__ = ["register"]  # the fixture

SLOTS = 3


def test_what_a_block_says_of_a_target_does_not_depend_on_its_group(
    register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots, latest measurements, failures and burns of a target are the same beside those of other agencies."""
    monkeypatch.setattr(recent, "PART", 5)  # so that a group has several parts, one of them with links and endpoints
    scoring = Run(register, tmp_path).scoring
    for sequence, message in enumerate(stream(register, slots=SLOTS, seed=3), 1):
        scoring.take(decode_columns(message.payload), stored=START + SLOTS * SLOT + 2, sequence=sequence)
    first = START // SLOT
    list(scoring.prepare(first + SLOTS))
    targets = [*map(Target, register.links), *(Target(name, endpoint=True) for name in register.endpoints)]
    found, sizes = [], []
    for group in (sorted(register.agencies).index, lambda _: 0):
        monkeypatch.setattr(members, "group_of", group)
        compiled = CompiledRegister.of(register)
        slots = dict(slot_blocks(scoring.evidence, compiled.arrays, range(first, first + SLOTS), compiled.groups))
        latest = dict(recent.recent_blocks(scoring.recent, scoring.burns, compiled.arrays, compiled.groups))
        assert recent.recent_keys(compiled.groups) == set(latest)
        sizes.append((len(slots), len(latest)))
        found.append({target: (_slots(target, slots.values()), _latest(target, latest.values())) for target in targets})
    assert sizes == [(len(register.agencies), len(register.agencies)), (1, -(-len(targets) // 5))]
    assert found[0] == found[1]
    assert len({str(shown) for shown in found[0].values()}) > len(targets) // 2


def test_how_far_the_evidence_was_read_is_stamped_on_equal_content(register: Register, tmp_path: Path) -> None:
    """A block has the evidence sequence of its index, and the same digest with another one: it need not be put again."""
    scoring = Run(register, tmp_path).scoring
    first, compiled = START // SLOT, CompiledRegister.of(register)
    list(scoring.prepare(first + SLOTS))
    digests, sequences = [], []
    for sequence in (7, 8):
        blocks = slot_blocks(scoring.evidence, compiled.arrays, range(first, first + SLOTS), compiled.groups)
        stamp = partial(stamp_slot_block, evidence_sequence=sequence)
        (encoded,) = encode_target_blocks(blocks, encode_slot_blocks, stamp)
        digests.append({block.key: block.digest for block in encoded})
        sequences.append({decode_slot_block(block.payload or b"").evidence_sequence for block in encoded})
    assert digests[0] == digests[1]
    assert sequences == [{7}, {8}]


def _slots(target: Target, blocks: Iterable[SlotBlock]) -> list[object]:
    ((block, column),) = (
        (block, names.index(target))
        for block in blocks
        if target in (names := [*map(Target, block.links), *(Target(name, endpoint=True) for name in block.endpoints)])
    )
    return [array[:, column].tolist() for array in (block.verdict, block.outcome, block.reason)]


def _latest(target: Target, blocks: Iterable[RecentBlock]) -> list[object]:
    (block,) = (block for block in blocks if target in block.targets)
    position = block.targets.index(target)

    def rows(of: RecentRows) -> list[object]:
        own = of.numbers[0] == position
        return [of.numbers[1:, own].T.tolist(), of.details[own].tolist()]

    burns = (
        [] if target.endpoint else [counts[:, position].tolist() for counts in (block.burn_known, block.burn_failed)]
    )
    return [rows(block.latest), rows(block.failures), burns]
