"""The index by an attribute of services or of the agencies that own them (docs/method.md §7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from peyvand.v1 import indicator_service_pb2
from services.api.answers.link_shares import Gathered, Gathering
from services.api.errors import InvalidRequestError, UnavailableError
from services.api.model.read_model import GOVERNMENT_BLOCK
from services.core.codec import set_index_to_message, to_timestamp
from services.core.model import Agency, IndicatorKind, Service
from services.indicator.index import ServiceGroup, quantile_bands, tabulate_links

__all__ = ["Tabulator"]

_Attribute = indicator_service_pb2.TabulatedAttribute
_VALUES: Mapping[int, Callable[[Service, Agency], str]] = {
    _Attribute.TABULATED_ATTRIBUTE_CHANNEL: lambda service, _: service.channel,
    _Attribute.TABULATED_ATTRIBUTE_SECTOR: lambda _, agency: agency.sector,
    _Attribute.TABULATED_ATTRIBUTE_AGENCY: lambda _, agency: agency.id,
}
_NUMBERS: Mapping[int, Callable[[Agency], float | None]] = {
    _Attribute.TABULATED_ATTRIBUTE_STAFF: lambda agency: agency.staff,
    _Attribute.TABULATED_ATTRIBUTE_SATISFACTION: lambda agency: agency.satisfaction,
}
_Head = indicator_service_pb2.TabulatedGroup


class Tabulator:
    """Groups the services of the newest blocks that were published together."""

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering

    async def answer(self, attribute: int, window_days: int) -> indicator_service_pb2.TabulateIndicatorsResponse:
        """Tabulate one window that the policy has. Raises RequestError: no such attribute, or nothing published yet."""
        if attribute not in _VALUES and attribute not in _NUMBERS:
            known = ", ".join(name.rpartition("_")[2].lower() for name, number in _Attribute.items() if number)
            raise InvalidRequestError(
                "ATTRIBUTE_UNKNOWN",
                f"attribute {attribute} is none: ask for one of {known}",
                attribute=str(attribute),
            )
        found = await self._gathering.window(window_days)
        government = found.blocks.get(GOVERNMENT_BLOCK)
        if government is None:
            raise UnavailableError("INDICATOR_UNPUBLISHED", "no index is published yet: retry later")
        heads, group = _heads(found, attribute)
        rows, total = await asyncio.to_thread(_rows, found, group, len(heads), window_days)
        return indicator_service_pb2.TabulateIndicatorsResponse(
            attribute=_Attribute.ValueType(attribute),
            window_days=window_days,
            as_of=to_timestamp(government.as_of),
            register_version=government.register_version,
            method_version=government.method_version,
            groups=[_message(head, row) for head, row in zip(heads, rows, strict=True) if row.services],
            total=_message(_Head(), total),
        )


def _rows(
    found: Gathered, group: NDArray[np.int64], groups: int, window_days: int
) -> tuple[list[ServiceGroup], ServiceGroup]:
    """Return the groups, and all services as one."""
    arrays, shares, level = found.view.arrays, found.shares, _levels(found, window_days)
    (total,) = tabulate_links(arrays, shares, np.zeros_like(group), 1, level)
    return tabulate_links(arrays, shares, group, groups, level), total


def _heads(found: Gathered, attribute: int) -> tuple[list[_Head], NDArray[np.int64]]:
    """Return the groups' headings, the one without a value last, and the group of each service in register order."""
    register, arrays = found.view.register, found.view.arrays
    services = [register.services[service] for service in arrays.services]
    if attribute in _NUMBERS:
        band, spans = quantile_bands([_NUMBERS[attribute](register.agencies[agency]) for agency in arrays.agencies])
        heads = [_Head(lowest=low, highest=high) for low, high in spans]
        of_service = band[arrays.service_consumer]
        return [*heads, _Head()], np.where(of_service < 0, len(heads), of_service)
    values = [_VALUES[attribute](service, register.agencies[service.agency]) for service in services]
    return _by_value(values)


def _by_value(values: Sequence[str]) -> tuple[list[_Head], NDArray[np.int64]]:
    order = sorted(set(values), key=lambda value: (not value, value))
    at = {value: number for number, value in enumerate(order)}
    return [_Head(value=value) for value in order], np.array([at[value] for value in values], dtype=np.int64)


def _levels(found: Gathered, window_days: int) -> NDArray[np.int8]:
    """The level of each service as it is published, in register order; -1 where there is none."""
    published: dict[str, float] = {}
    for block in found.blocks.values():
        published.update(zip(*block.column("level", IndicatorKind.SERVICE, window_days), strict=True))
    return np.array([published.get(service, -1) for service in found.view.arrays.services], dtype=np.int8)


def _message(head: _Head, group: ServiceGroup) -> indicator_service_pb2.TabulatedGroup:
    message = indicator_service_pb2.TabulatedGroup(
        index=set_index_to_message(group.index),
        agencies=group.agencies,
        services=group.services,
        services_with_links=group.with_links,
        links_absent=group.absent,
        inquiries_per_service=group.inquiries_per_service,
        on_paper_per_service=group.on_paper_per_service,
        levels=group.levels,
    )
    message.MergeFrom(head)
    return message
