"""An index as encoded blocks of agencies and government, made as they are asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import compress

from services.core.blocks import block_digest, encode_block, encode_blocks
from services.core.bus import GOVERNMENT_KEY, consumer_key
from services.core.codec import ExchangeVolume
from services.core.model import Reconciliation
from services.scorer.exchanges import ReconciliationReport
from services.scorer.index import IndexResult
from services.scorer.publishing.blocks import consumer_blocks, government_block, grouped
from services.scorer.publishing.columns import IndicatorTable

__all__ = ["BlockEncoder", "EncodedBlock"]

ENCODED_TARGETS = 4096
"""Links and endpoints of agencies whose blocks are encoded together, in some ten milliseconds."""


@dataclass(frozen=True, slots=True)
class EncodedBlock:
    """A block to be put under a key, and a digest of what it says; None in place of one that says what is there already."""

    key: str
    digest: bytes
    payload: bytes | None


class BlockEncoder:
    """Every agency's block, and the government's, encoded as they are asked for."""

    def __init__(
        self, judgement: IndexResult, volumes: Iterable[ExchangeVolume], reconciled: ReconciliationReport
    ) -> None:
        self._judgement = judgement
        self._table = IndicatorTable(judgement.snapshot)
        self._traffic = reconciled.traffic
        self._volumes: dict[str, list[ExchangeVolume]] = defaultdict(list)
        for volume in volumes:
            self._volumes[volume.consumer].append(volume)
        self._reconciliations: dict[str, list[Reconciliation]] = defaultdict(list)
        for one in reconciled.links:
            link = judgement.register.links.get(one.link)
            if link is not None:
                self._reconciliations[judgement.register.consumer(link)].append(one)

    def of_consumers(self, there: Mapping[str, bytes]) -> Iterator[EncodedBlock]:
        """Yield those that have an indicator, the urgent ones first; ``there`` are digests by key."""
        ordered = {**self._judgement.urgent, **self._judgement.members}
        for some in grouped(ordered, ENCODED_TARGETS):
            agencies = [agency for agency, _ in some]
            blocks = consumer_blocks(
                self._table,
                [own for _, own in some],
                [self._volumes.get(agency, ()) for agency in agencies],
                [self._reconciliations.get(agency, ()) for agency in agencies],
            )
            said = [(consumer_key(agency), block_digest(block)) for agency, block in zip(agencies, blocks, strict=True)]
            new = [there.get(key) != digest for key, digest in said]
            payloads = iter(encode_blocks(list(compress(blocks, new))))
            for (key, digest), block, is_new in zip(said, blocks, new, strict=True):
                payload = next(payloads) if is_new else None
                if len(block.ids):
                    yield EncodedBlock(key, digest, payload)

    def of_government(self, consumers: Collection[str]) -> Iterator[EncodedBlock]:
        """Yield it if it has an indicator, with the volumes of whoever is not among these keys."""
        others = [
            volume
            for consumer, some in self._volumes.items()
            if consumer_key(consumer) not in consumers
            for volume in some
        ]
        block = government_block(self._table, others, self._judgement.structures, self._traffic)
        if len(block.ids):
            yield EncodedBlock(GOVERNMENT_KEY, block_digest(block), encode_block(block))
