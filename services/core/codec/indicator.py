"""Encodes indicators, structures and sensitivity analyses, and decodes indicators and structures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.core.codec.units import (
    copied_fields,
    message_to_json,
    optional_field,
    parse_message,
    to_timestamp,
    whole_seconds,
)
from services.core.model import (
    Indicator,
    IndicatorKind,
    Interval,
    Losses,
    ProviderRole,
    RankBand,
    RankBasis,
    RankSensitivity,
    Sensitivity,
    SetIndex,
    StrictShare,
    Structure,
    SwitchIndex,
)

_indicator_fields = copied_fields(
    Indicator, "kind", "as_of", "point", "losses", "strict", "interval", "level", "rank_band"
)
_losses_fields, _strict_fields, _interval_fields = map(copied_fields, (Losses, StrictShare, Interval))
_BASES = {int(basis): basis for basis in RankBasis}  # older messages do not state it, and newer ones may state others
rank_band_fields = copied_fields(RankBand)
"""Returns the fields of the message of a band of ranks."""

_sensitivity_fields = copied_fields(Sensitivity, "as_of", "ranks")
_rank_fields, _switch_fields = copied_fields(RankSensitivity, "kind", "switches"), copied_fields(SwitchIndex)


def indicator_to_message(row: Indicator) -> indicator_pb2.Indicator:
    """Return the message of an indicator; fields that do not apply are left unset."""
    return indicator_pb2.Indicator(**_message_fields(row))


def encode_indicators(rows: Iterable[Indicator]) -> list[bytes]:
    """Encode each as a message. They share protobuf's memory, so that it frees less one by one (ADR 123)."""
    together = indicator_service_pb2.GetHistoryResponse()
    return [together.indicators.add(**_message_fields(row)).SerializeToString() for row in rows]


def _message_fields(row: Indicator) -> dict[str, Any]:
    """Return the fields of an indicator's message; messages in it are given by their fields too, which is cheaper."""
    strict, band, interval = row.strict, row.rank_band, row.interval
    return _indicator_fields(row) | {
        "kind": int(row.kind),
        "as_of": {"seconds": row.as_of},
        "point": row.point,
        "losses": _losses_fields(row.losses),
        "strict": strict and _strict_fields(strict),
        "interval": interval and _interval_fields(interval),
        "level": row.level,
        "rank_band": band and rank_band_fields(band),
    }


def decode_indicator(data: bytes) -> Indicator:
    """Return the indicator of a message.

    Raises ValueError when it is not an indicator, or this version does not know its kind.
    """
    return indicator_from_message(parse_message(indicator_pb2.Indicator, data))


def indicator_from_message(message: indicator_pb2.Indicator) -> Indicator:
    """Return the indicator. Raises ValueError for an impossible time, or a kind of a newer version."""
    strict, band, interval = message.strict, message.rank_band, message.interval
    return Indicator(
        kind=IndicatorKind(message.kind),
        as_of=whole_seconds(message.as_of),
        point=optional_field(message, "point"),
        losses=losses_from_message(message.losses),
        strict=StrictShare(optional_field(strict, "point"), strict.lower, strict.upper)
        if message.HasField("strict")
        else None,
        interval=Interval(interval.low, interval.high, interval.level, optional_field(interval, "outages"))
        if message.HasField("interval")
        else None,
        level=optional_field(message, "level"),
        rank_band=RankBand(band.low, band.high, _BASES.get(band.basis, RankBasis.SENSITIVITY), band.agencies)
        if message.HasField("rank_band")
        else None,
        **_indicator_fields(message),
    )


def losses_from_message(message: indicator_pb2.Losses) -> Losses:
    """Return losses by stage."""
    return Losses(**_losses_fields(message))


def losses_to_message(losses: Losses) -> indicator_pb2.Losses:
    """Return the message of losses by stage."""
    return indicator_pb2.Losses(**_losses_fields(losses))


def indicator_to_json(row: Indicator) -> str:
    """Return one line of JSON in the protobuf mapping, with proto field names; zeros are written out."""
    return message_to_json(indicator_to_message(row), zeros=True)


def sensitivity_to_json(row: Sensitivity) -> str:
    """Return one line of JSON in the protobuf mapping, with proto field names; zeros are written out."""
    ranks = [
        indicator_pb2.RankSensitivity(
            kind=indicator_pb2.IndicatorKind.ValueType(rank.kind),
            switches=[indicator_pb2.SwitchIndex(**_switch_fields(switch)) for switch in rank.switches],
            **_rank_fields(rank),
        )
        for rank in row.ranks
    ]
    message = indicator_pb2.Sensitivity(as_of=to_timestamp(row.as_of), ranks=ranks, **_sensitivity_fields(row))
    return message_to_json(message, zeros=True)


_structure_fields = copied_fields(
    Structure,
    "as_of",
    "islands",
    "reciprocity",
    "within_sectors",
    "across_sectors",
    "silo_gap",
    "providers",
    "resilience",
)
_provider_fields, _set_index_fields = copied_fields(ProviderRole), copied_fields(SetIndex)


def structure_to_message(structure: Structure) -> indicator_pb2.Structure:
    """Return the message of a structure. Without ``as_of``, as in a block, its provenance stays unset."""
    # A country has thousands of providers, which as messages would be freed one by one (ADR 123).
    many: dict[str, Any] = {
        "islands": [{"agencies": island} for island in structure.islands],
        "providers": [_provider_fields(role) for role in structure.providers],
    }
    return indicator_pb2.Structure(
        as_of=to_timestamp(structure.as_of) if structure.as_of else None,
        reciprocity=_or_nan(structure.reciprocity),
        within_sectors=set_index_to_message(structure.within_sectors),
        across_sectors=set_index_to_message(structure.across_sectors),
        silo_gap=_or_nan(structure.silo_gap),
        resilience=_or_nan(structure.resilience),
        **many,
        **_structure_fields(structure),
    )


def structure_from_message(message: indicator_pb2.Structure) -> Structure:
    """Return the structure. Raises ValueError for an impossible time."""
    return Structure(
        **{**_structure_fields(message), "isolates": tuple(message.isolates)},
        as_of=whole_seconds(message.as_of),
        islands=tuple(tuple(island.agencies) for island in message.islands),
        reciprocity=_or_none(message.reciprocity),
        within_sectors=_set_index(message.within_sectors),
        across_sectors=_set_index(message.across_sectors),
        silo_gap=_or_none(message.silo_gap),
        providers=tuple(ProviderRole(**_provider_fields(role)) for role in message.providers),
        resilience=_or_none(message.resilience),
    )


def _set_index(message: indicator_pb2.SetIndex) -> SetIndex:
    return SetIndex(**_set_index_fields(message) | {"point": optional_field(message, "point")})


def set_index_to_message(index: SetIndex) -> indicator_pb2.SetIndex:
    """Return the message of a set's index, whose point is unset when it is not publishable."""
    return indicator_pb2.SetIndex(**_set_index_fields(index))


def structure_to_json(structure: Structure) -> str:
    """Return one line of JSON in the protobuf mapping, with proto field names; zeros are written out."""
    return message_to_json(structure_to_message(structure), zeros=True)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
