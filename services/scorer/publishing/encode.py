"""Encodes an index as the blocks of agencies and of the government, some at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TypeVar

from services.core.blocks import BlockColumns, RecentBlock, SlotBlock, encode_blocks, encode_group, stamp_block
from services.core.bus import GOVERNMENT_KEY, consumers_key, group_of
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
    """A block to put under a key, with a digest of its content. ``payload`` is None if that content was put before.

    The content does not depend on how far the evidence was read. That is stamped on the payload alone.
    """

    key: str
    digest: bytes
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class AgencyBlock:
    """The block of an agency, with a digest of its content. ``payload`` is None if the agency has no indicator."""

    digest: bytes
    payload: bytes | None


def encode_target_blocks(
    blocks: Iterable[tuple[str, TargetBlock]],
    encode: Callable[[Sequence[TargetBlock]], list[bytes]],
    stamp: Callable[[bytes], bytes],
) -> Iterator[list[EncodedBlock]]:
    """Yield blocks of links and endpoints, some encoded at a time."""
    for some in grouped(blocks, lambda one: len(one[1].links) + len(one[1].endpoints), ENCODED_TARGETS):
        payloads = encode([block for _, block in some])
        yield [
            EncodedBlock(key, sha256(payload).digest(), stamp(payload))
            for (key, _), payload in zip(some, payloads, strict=True)
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
        self.consumers = set[str]()
        """The agencies with a block, complete once the last group has been encoded."""

        self._stamp = partial(stamp_block, evidence_sequence=result.snapshot.evidence_sequence)
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

    def groups(
        self, numbers: Mapping[str, bytes], existing: Mapping[str, bytes], encoded: dict[str, AgencyBlock]
    ) -> Iterator[list[EncodedBlock]]:
        """Yield the blocks of groups of agencies that have an indicator, some at a time, the urgent ones first.

        ``numbers`` is the result of ``digests``. ``existing`` has the digests, by key, of the groups that were put before.
        ``encoded`` has the blocks of agencies as they were encoded before. Those that changed are replaced.
        """
        groups: dict[int, dict[str, AgencyMembers]] = defaultdict(dict)
        for agency, own in {**self.result.urgent, **self.result.compiled.members}.items():
            if len(own.target_rows):
                groups[group_of(agency)][agency] = own
        for some in grouped(
            groups.items(), lambda item: sum(len(own.target_rows) for own in item[1].values()), ENCODED_TARGETS
        ):
            self._encode({agency: own for _, group in some for agency, own in group.items()}, numbers, encoded)
            yield [
                self._group(consumers_key(number), {agency: encoded[agency] for agency in sorted(group)}, existing)
                for number, group in some
                if not self.consumers.isdisjoint(group)
            ]

    def _encode(
        self, members: Mapping[str, AgencyMembers], numbers: Mapping[str, bytes], encoded: dict[str, AgencyBlock]
    ) -> None:
        digests = {agency: numbers[agency] + self._digest_of_others(agency, own) for agency, own in members.items()}
        new = {
            agency: own
            for agency, own in members.items()
            if agency not in encoded or encoded[agency].digest != digests[agency]
        }
        blocks = self._blocks(new)
        for agency, block, payload in zip(new, blocks, encode_blocks(blocks), strict=True):
            encoded[agency] = AgencyBlock(digests[agency], self._stamp(payload) if len(block.ids) else None)
        self.consumers.update(agency for agency in members if encoded[agency].payload is not None)

    @staticmethod
    def _group(key: str, blocks: Mapping[str, AgencyBlock], existing: Mapping[str, bytes]) -> EncodedBlock:
        payloads = {agency: block.payload for agency, block in blocks.items() if block.payload is not None}
        digest = sha256(b"".join(agency.encode() + blocks[agency].digest for agency in payloads)).digest()
        return EncodedBlock(key, digest, None if existing.get(key) == digest else encode_group(payloads))

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

    def government(self) -> Iterator[list[EncodedBlock]]:
        """Yield the government's block if it has an indicator, with the volumes of consumers without a block."""
        others = [
            volume
            for consumer, volumes in self._volumes.items()
            if consumer not in self.consumers
            for volume in volumes
        ]
        block = government_block(
            self._table, others, self.result.structures, self._traffic, self._monitoring, self._findings
        )
        if len(block.ids):
            (payload,) = encode_blocks([block])
            yield [EncodedBlock(GOVERNMENT_KEY, sha256(payload).digest(), self._stamp(payload))]
