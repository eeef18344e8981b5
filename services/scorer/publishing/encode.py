"""Encodes an index as the blocks of agencies and of the government, one group after another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

from services.core.blocks import BlockColumns, RecentBlock, SlotBlock, encode_blocks
from services.core.bus import GOVERNMENT_KEY, consumer_key
from services.core.codec import ExchangeVolume
from services.core.model import Finding, IndicatorKind, Monitoring, Reconciliation
from services.scorer.exchanges import ReconciliationReport
from services.scorer.grouping import grouped
from services.scorer.index import AgencyMembers, IndexResult
from services.scorer.publishing.blocks import consumer_blocks, government_block, ranks_of
from services.scorer.publishing.columns import IndicatorTable
from services.scorer.publishing.digests import agency_digests

ENCODED_TARGETS = 4096
"""How many links and endpoints have their blocks read and encoded together, which takes some ten milliseconds."""

TargetBlock = TypeVar("TargetBlock", SlotBlock, RecentBlock)


@dataclass(frozen=True, slots=True)
class EncodedBlock:
    """A block to put under a key, with a digest of its content. ``payload`` is None if that content was put before."""

    key: str
    digest: bytes
    payload: bytes | None


def encode_target_blocks(
    blocks: Iterable[tuple[str, TargetBlock]], encode: Callable[[Sequence[TargetBlock]], list[bytes]]
) -> Iterator[list[EncodedBlock]]:
    """Yield blocks of links and endpoints, encoded a group at a time."""
    for group in grouped(blocks, lambda one: len(one[1].links) + len(one[1].endpoints), ENCODED_TARGETS):
        payloads = encode([block for _, block in group])
        yield [
            EncodedBlock(key, sha256(payload).digest(), payload)
            for (key, _), payload in zip(group, payloads, strict=True)
        ]


class BlockEncoder:
    """Encodes the blocks of all agencies and of the government from a ``result``, lazily."""

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

    def digests(self) -> dict[str, bytes]:
        """Return a digest of each agency's numbers. With a million links this takes half a second."""
        return agency_digests(self.result.snapshot, self.result.compiled.members)

    def consumers(self, numbers: Mapping[str, bytes], existing: Mapping[str, bytes]) -> Iterator[list[EncodedBlock]]:
        """Yield the blocks of agencies that have an indicator, a group at a time, the urgent ones first.

        ``numbers`` is the result of ``digests``. ``existing`` has the digests, by key, of the blocks that were put
        before.
        """
        ordered = {**self.result.urgent, **self.result.compiled.members}
        having = ((agency, own) for agency, own in ordered.items() if len(own.target_rows))
        for group in grouped(having, lambda item: len(item[1].target_rows), ENCODED_TARGETS):
            digests = {agency: numbers[agency] + self._digest_of_others(agency, own) for agency, own in group}
            new = {agency: own for agency, own in group if existing.get(consumer_key(agency)) != digests[agency]}
            blocks = self._blocks(new)
            payloads = dict(zip(new, encode_blocks(blocks), strict=True))
            empty = {agency for agency, block in zip(new, blocks, strict=True) if not len(block.ids)}
            yield [
                EncodedBlock(consumer_key(agency), digest, payloads.get(agency))
                for agency, digest in digests.items()
                if agency not in empty
            ]

    def _blocks(self, members: Mapping[str, AgencyMembers]) -> list[BlockColumns]:
        if not members:
            return []
        return consumer_blocks(
            self._table,
            [*members.values()],
            [self._volumes.get(agency, ()) for agency in members],
            [self._reconciliations.get(agency, ()) for agency in members],
            [self._certificates.get(agency, ()) for agency in members],
        )

    def _digest_of_others(self, agency: str, own: AgencyMembers) -> bytes:
        """Return a digest of what an agency's block holds beside these numbers. It differs from process to process."""
        snapshot = self.result.snapshot
        said = (
            (snapshot.as_of, snapshot.register_version, snapshot.probe_version, snapshot.method_version),
            tuple(self._volumes.get(agency, ())),
            tuple(self._reconciliations.get(agency, ())),
            tuple(self._certificates.get(agency, ())),
            ranks_of(snapshot, IndicatorKind.CONSUMER, own.rows[IndicatorKind.CONSUMER]),
        )
        return hash(said).to_bytes(8, "big", signed=True)

    def government(self, consumers: Collection[str]) -> Iterator[list[EncodedBlock]]:
        """Yield the government's block if it has an indicator, with the volumes of all consumers but these."""
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
            (payload,) = encode_blocks([block])
            yield [EncodedBlock(GOVERNMENT_KEY, sha256(payload).digest(), payload)]
