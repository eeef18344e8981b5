"""An index as encoded blocks of agencies and government, made as they are asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from services.core.codec import ExchangeVolume, encode_block, encode_blocks
from services.core.reconciliation import Reconciliation
from services.scorer.blocks import GOVERNMENT, consumer_blocks, consumer_key, government_block, grouped
from services.scorer.judgement import Judgement
from services.scorer.reconciling import Reconciled
from services.scorer.table import Table

__all__ = ["EncodedBlocks"]

ENCODED_TARGETS = 4096
"""Links and endpoints of agencies whose blocks are encoded together, in some ten milliseconds."""


class EncodedBlocks:
    """Every agency's block, and the government's, encoded as they are asked for."""

    def __init__(self, judgement: Judgement, volumes: Iterable[ExchangeVolume], reconciled: Reconciled) -> None:
        self._judgement = judgement
        self._table = Table(judgement.snapshot)
        self._traffic = reconciled.traffic
        self._volumes: dict[str, list[ExchangeVolume]] = defaultdict(list)
        for volume in volumes:
            self._volumes[volume.consumer].append(volume)
        self._reconciliations: dict[str, list[Reconciliation]] = defaultdict(list)
        for one in reconciled.links:
            link = judgement.register.links.get(one.link)
            if link is not None:
                self._reconciliations[judgement.register.consumer(link)].append(one)

    def of_consumers(self) -> Iterator[tuple[str, bytes]]:
        """Yield those that have an indicator, by key."""
        for some in grouped(self._judgement.members, ENCODED_TARGETS):
            agencies = [agency for agency, _ in some]
            blocks = consumer_blocks(
                self._table,
                [own for _, own in some],
                [self._volumes.get(agency, ()) for agency in agencies],
                [self._reconciliations.get(agency, ()) for agency in agencies],
            )
            for agency, block, payload in zip(agencies, blocks, encode_blocks(blocks), strict=True):
                if len(block.ids):
                    yield consumer_key(agency), payload

    def of_government(self, consumers: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Yield it if it has an indicator, with the volumes of whoever is not among these keys."""
        others = [
            volume
            for consumer, some in self._volumes.items()
            if consumer_key(consumer) not in consumers
            for volume in some
        ]
        block = government_block(self._table, others, self._judgement.structures, self._traffic)
        if len(block.ids):
            yield GOVERNMENT, encode_block(block)
