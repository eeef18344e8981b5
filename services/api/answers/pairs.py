"""Answers ListPairs: the index of each pair of agencies or sectors, from published shares (docs/method.md §7.5)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from peyvand.v1 import indicator_service_pb2 as messages
from services.api.answers.link_shares import WindowEvidence, WindowEvidenceCache
from services.api.errors import InvalidRequestError
from services.api.model import ReadModel, RegisterView
from services.api.paging import page_of
from services.core.codec import losses_to_message, set_index_to_message, to_timestamp
from services.core.model import IndicatorKind
from services.indicator.index import Pair, PairColumns

_BY_SECTOR = messages.PAIR_LEVEL_SECTOR


@dataclass(frozen=True, slots=True)
class _PairTable:
    """All pairs of one window and level; ``position`` finds a pair by ``consumer provider``, in sorted order."""

    evidence: WindowEvidence
    columns: PairColumns
    position: dict[str, int]

    @classmethod
    def of(cls, evidence: WindowEvidence, level: int) -> _PairTable:
        arrays = evidence.view.arrays
        if level == _BY_SECTOR:
            ids, consumer, provider = arrays.sectors, arrays.sector, arrays.agency_sector[arrays.provider]
        else:
            ids, consumer, provider = arrays.agencies, arrays.consumer, arrays.provider
        columns = PairColumns.of(evidence.shares, consumer, provider)
        names = zip(columns.consumer.tolist(), columns.provider.tolist(), strict=True)
        # A space sorts before every character of an id, so the order is that of consumer, then provider.
        position = {f"{ids[first]} {ids[second]}": row for row, (first, second) in enumerate(names)}
        return cls(evidence, columns, position)


class PairAnswers:
    """Answers about pairs; each table is computed once per refresh, in a thread."""

    def __init__(self, model: ReadModel, windows: WindowEvidenceCache) -> None:
        self._model = model
        self._windows = windows

    async def answer(self, request: messages.ListPairsRequest) -> messages.ListPairsResponse:
        """Return one page of pairs by consumer and provider. Raises RequestError."""
        view = self._model.view
        days, level = view.window(request.window_days), request.level or messages.PAIR_LEVEL_AGENCY
        _check_filters(view, request, level)
        evidence = await self._windows.of_window(days)
        made = partial(_PairTable.of, evidence, level)
        table = await self._windows.result(("pairs", days, level), evidence, made)
        government = self._windows.government(table.evidence, days)
        filters = (request.consumer, request.provider, request.consumer_sector, request.provider_sector)
        agencies = table.evidence.view.register.agencies

        def matches(pair: str) -> bool:
            consumer, _, provider = pair.partition(" ")
            return (
                request.consumer in ("", consumer)
                and request.provider in ("", provider)
                and request.consumer_sector in ("", level == _BY_SECTOR or agencies[consumer].sector)
                and request.provider_sector in ("", level == _BY_SECTOR or agencies[provider].sector)
            )

        page = page_of(
            list(table.position),
            ("ListPairs", str(level), *filters, str(days)),
            size=request.page_size,
            token=request.page_token,
            visible=matches,
        )
        rows = np.array([table.position[pair] for pair in page.ids], dtype=np.int64)
        pairs, next_token = page.bounded(map(_message, page.ids, table.columns.rows(rows)))
        return messages.ListPairsResponse(
            pairs=pairs,
            next_page_token=next_token,
            window_days=days,
            as_of=to_timestamp(government.as_of),
            register_version=government.register_version,
            method_version=government.method_version,
            evidence_sequence=government.evidence_sequence,
        )


def _check_filters(view: RegisterView, request: messages.ListPairsRequest, level: int) -> None:
    """Check that the filters name existing entities. Raises RequestError."""
    if level not in messages.PairLevel.values():
        raise InvalidRequestError(
            "LEVEL_UNKNOWN", f"level {level} is none: ask for agencies or sectors", level=str(level)
        )
    if level == _BY_SECTOR and (request.consumer_sector or request.provider_sector):
        raise InvalidRequestError(
            "FILTER_NOT_APPLICABLE", "consumer_sector and provider_sector filter pairs of agencies: leave them empty"
        )
    kind = IndicatorKind.SECTOR if level == _BY_SECTOR else IndicatorKind.CONSUMER
    for entity in filter(None, (request.consumer, request.provider)):
        view.entity(kind, entity)
    for sector in filter(None, (request.consumer_sector, request.provider_sector)):
        view.entity(IndicatorKind.SECTOR, sector)


def _message(name: str, pair: Pair) -> messages.Pair:
    consumer, _, provider = name.partition(" ")
    return messages.Pair(
        consumer=consumer,
        provider=provider,
        index=set_index_to_message(pair.index),
        links_known=pair.links_known,
        links_absent=pair.links_absent,
        losses=losses_to_message(pair.losses),
    )
