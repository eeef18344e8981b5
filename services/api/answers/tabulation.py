"""Tabulates the index by an attribute of services or of the agencies that own them (docs/method.md §7.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from peyvand.v1 import indicator_service_pb2 as messages
from services.api.answers.link_shares import WindowEvidence, WindowEvidenceCache
from services.api.errors import InvalidRequestError
from services.core.blocks import BlockReader
from services.core.codec import set_index_to_message, to_timestamp
from services.core.model import Agency, IndicatorKind, Service
from services.indicator.index import ServiceGroup, quantile_bands, tabulate_links

_Attribute = messages.TabulatedAttribute
_Heading = messages.TabulatedGroup

_TEXTS: Mapping[int, Callable[[Service, Agency], str]] = {
    _Attribute.TABULATED_ATTRIBUTE_CHANNEL: lambda service, _: service.channel,
    _Attribute.TABULATED_ATTRIBUTE_SECTOR: lambda _, agency: agency.sector,
    _Attribute.TABULATED_ATTRIBUTE_AGENCY: lambda _, agency: agency.id,
}
_NUMBERS: Mapping[int, Callable[[Agency], float | None]] = {
    _Attribute.TABULATED_ATTRIBUTE_STAFF: lambda agency: agency.staff,
    _Attribute.TABULATED_ATTRIBUTE_SATISFACTION: lambda agency: agency.satisfaction,
}


class Tabulator:
    """Groups the services of the newest blocks that were published together; each table is made once per refresh."""

    def __init__(self, windows: WindowEvidenceCache) -> None:
        self._windows = windows

    async def answer(self, attribute: int, window_days: int) -> messages.TabulateIndicatorsResponse:
        """Tabulate a window of the policy. Raises RequestError for an unknown attribute, or before publication."""
        if attribute not in _TEXTS and attribute not in _NUMBERS:
            names = ", ".join(name.rpartition("_")[2].lower() for name, number in _Attribute.items() if number)
            raise InvalidRequestError(
                "ATTRIBUTE_UNKNOWN", f"attribute {attribute} is none: ask for one of {names}", attribute=str(attribute)
            )
        window = await self._windows.of_window(window_days)
        government = self._windows.government(window, window_days)
        made = partial(_table, window, government, attribute, window_days)
        return await self._windows.result(("table", window_days, attribute), window, made)


def _table(
    window: WindowEvidence, government: BlockReader, attribute: int, window_days: int
) -> messages.TabulateIndicatorsResponse:
    headings, group = _groups(window, attribute)
    levels = _levels(window, window_days)
    rows = tabulate_links(window.shares, group, len(headings), levels)
    (total,) = tabulate_links(window.shares, np.zeros_like(group), 1, levels)
    return messages.TabulateIndicatorsResponse(
        attribute=_Attribute.ValueType(attribute),
        window_days=window_days,
        as_of=to_timestamp(government.as_of),
        register_version=government.register_version,
        method_version=government.method_version,
        groups=[_message(heading, row) for heading, row in zip(headings, rows, strict=True) if row.services],
        total=_message(_Heading(), total),
    )


def _groups(window: WindowEvidence, attribute: int) -> tuple[list[_Heading], NDArray[np.int64]]:
    """Return the groups' headings, the one without a value last, and the group of each service in register order."""
    register, arrays = window.view.register, window.view.arrays
    if attribute in _NUMBERS:
        number = _NUMBERS[attribute]
        band, spans = quantile_bands([number(register.agencies[agency]) for agency in arrays.agencies])
        headings = [_Heading(lowest=low, highest=high) for low, high in spans]
        of_service = band[arrays.service_consumer]
        return [*headings, _Heading()], np.where(of_service < 0, len(headings), of_service)
    services = [register.services[service] for service in arrays.services]
    return _by_text([_TEXTS[attribute](service, register.agencies[service.agency]) for service in services])


def _by_text(texts: Sequence[str]) -> tuple[list[_Heading], NDArray[np.int64]]:
    order = sorted(set(texts), key=lambda text: (not text, text))
    numbers = {text: number for number, text in enumerate(order)}
    return [_Heading(value=text) for text in order], np.array([numbers[text] for text in texts], dtype=np.int64)


def _levels(window: WindowEvidence, window_days: int) -> NDArray[np.int8]:
    """Return the published level of each service in register order, -1 where there is none."""
    published: dict[str, float] = {}
    for block in window.blocks.values():
        published.update(zip(*block.column("level", IndicatorKind.SERVICE, window_days), strict=True))
    return np.array([published.get(service, -1) for service in window.view.arrays.services], dtype=np.int8)


def _message(heading: _Heading, group: ServiceGroup) -> messages.TabulatedGroup:
    message = messages.TabulatedGroup(
        index=set_index_to_message(group.index),
        agencies=group.agencies,
        services=group.services,
        services_with_links=group.with_links,
        links_absent=group.absent,
        inquiries_per_service=group.inquiries_per_service,
        on_paper_per_service=group.on_paper_per_service,
        levels=group.levels,
    )
    message.MergeFrom(heading)
    return message
