"""Encodes an index as blocks of agencies and government, one group after another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import compress

from services.core.blocks import block_digest, encode_blocks
from services.core.bus import GOVERNMENT_KEY, consumer_key
from services.core.codec import ExchangeVolume
from services.core.model import Finding, Monitoring, Reconciliation
from services.scorer.exchanges import ReconciliationReport
from services.scorer.index import IndexResult
from services.scorer.publishing.blocks import consumer_blocks, government_block, grouped
from services.scorer.publishing.columns import IndicatorTable

ENCODED_TARGETS = 4096
"""Links and endpoints whose blocks are encoded together, which takes some ten milliseconds."""


@dataclass(frozen=True, slots=True)
class EncodedBlock:
    """A block to be put under a key, with a digest of its content; ``payload`` is None if that content is there already."""

    key: str
    digest: bytes
    payload: bytes | None


class BlockEncoder:
    """Encodes every agency's block of a ``result``, and the government's, lazily."""

    def __init__(
        self,
        result: IndexResult,
        volumes: Iterable[ExchangeVolume],
        report: ReconciliationReport,
        monitoring: Monitoring | None = None,
        certificates: Iterable[tuple[str, int]] = (),
        findings: Iterable[Finding] = (),
    ) -> None:
        self.result = result
        self._table = IndicatorTable(result.snapshot)
        self._traffic = report.traffic
        self._monitoring = monitoring
        self._findings = findings
        self._volumes: dict[str, list[ExchangeVolume]] = defaultdict(list)
        for volume in volumes:
            self._volumes[volume.consumer].append(volume)
        register = result.compiled.register
        self._reconciliations: dict[str, list[Reconciliation]] = defaultdict(list)
        for reconciliation in report.links:
            link = register.links.get(reconciliation.link)
            if link is not None:
                self._reconciliations[register.consumer(link)].append(reconciliation)
        self._certificates: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for name, expiry in certificates:
            link = register.links.get(name)
            if link is not None:
                self._certificates[register.consumer(link)].append((name, expiry))

    def consumers(self, existing: Mapping[str, bytes]) -> Iterator[EncodedBlock]:
        """Yield the blocks of agencies that have an indicator, the urgent ones first; ``existing`` are digests by key."""
        ordered = {**self.result.urgent, **self.result.compiled.members}
        for group in grouped(ordered, ENCODED_TARGETS):
            agencies = [agency for agency, _ in group]
            blocks = consumer_blocks(
                self._table,
                [own for _, own in group],
                [self._volumes.get(agency, ()) for agency in agencies],
                [self._reconciliations.get(agency, ()) for agency in agencies],
                [self._certificates.get(agency, ()) for agency in agencies],
            )
            keys = [(consumer_key(agency), block_digest(block)) for agency, block in zip(agencies, blocks, strict=True)]
            new = [existing.get(key) != digest for key, digest in keys]
            payloads = iter(encode_blocks(list(compress(blocks, new))))
            for (key, digest), block, is_new in zip(keys, blocks, new, strict=True):
                payload = next(payloads) if is_new else None
                if len(block.ids):
                    yield EncodedBlock(key, digest, payload)

    def government(self, consumers: Collection[str]) -> Iterator[EncodedBlock]:
        """Yield the block if it has an indicator, with the volumes of consumers that are not among these keys."""
        others = [
            volume
            for consumer, volumes in self._volumes.items()
            if consumer_key(consumer) not in consumers
            for volume in volumes
        ]
        block = government_block(
            self._table, others, self.result.structures, self._traffic, self._monitoring, self._findings
        )
        if len(block.ids):
            yield EncodedBlock(GOVERNMENT_KEY, block_digest(block), *encode_blocks([block]))
