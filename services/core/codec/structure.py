"""The structure in blocks of the bucket `indicator`, over gRPC and in JSON."""

from __future__ import annotations

import math

from google.protobuf import json_format

from peyvand.v1 import block_pb2, indicator_pb2
from services.core.codec.units import timestamp
from services.core.model import ProviderRole, SetIndex, Structure

__all__ = ["set_index_to_message", "structure_from_message", "structure_to_json", "structure_to_message"]


def structure_to_message(one: Structure) -> indicator_pb2.Structure:
    """The message of a structure. Without ``as_of``, as in a block, its provenance stays unset."""
    return indicator_pb2.Structure(
        window_days=one.window_days,
        as_of=timestamp(one.as_of) if one.as_of else None,
        register_version=one.register_version,
        method_version=one.method_version,
        evidence_sequence=one.evidence_sequence,
        pair_coverage=one.pair_coverage,
        pair_coverage_upper=one.pair_coverage_upper,
        pair_coverage_weighted=one.pair_coverage_weighted,
        pair_coverage_weighted_upper=one.pair_coverage_weighted_upper,
        isolates=one.isolates,
        islands=[indicator_pb2.Island(agencies=island) for island in one.islands],
        fragmentation=one.fragmentation,
        fragmentation_lower=one.fragmentation_lower,
        reciprocity=_or_nan(one.reciprocity),
        within_sectors=set_index_to_message(one.within_sectors),
        across_sectors=set_index_to_message(one.across_sectors),
        silo_gap=_or_nan(one.silo_gap),
        provider_concentration=one.provider_concentration,
        providers=[
            indicator_pb2.ProviderRole(
                provider=role.provider,
                links=role.links,
                share=role.share,
                loss=role.loss,
                strict_loss=role.strict_loss,
            )
            for role in one.providers
        ],
        bus_links=one.bus_links,
        bus_strict_loss=one.bus_strict_loss,
        resilience=_or_nan(one.resilience),
        weakest=one.weakest,
        declared=one.declared,
        pairs_required=one.pairs_required,
        pairs_working=one.pairs_working,
        pairs_absent=one.pairs_absent,
        pairs_unknown=one.pairs_unknown,
    )


def set_index_to_message(one: SetIndex) -> indicator_pb2.SetIndex:
    """The message of a set's index; point is left unset where it is not publishable."""
    return indicator_pb2.SetIndex(
        links=one.links, point=one.point, lower=one.lower, upper=one.upper, known_share=one.known_share
    )


def structure_from_message(message: indicator_pb2.Structure, block: block_pb2.IndicatorBlock) -> Structure:
    """The structure that a block carries; its provenance is that of the block."""
    return Structure(
        window_days=message.window_days,
        pairs_required=message.pairs_required,
        pairs_working=message.pairs_working,
        pairs_absent=message.pairs_absent,
        pairs_unknown=message.pairs_unknown,
        pair_coverage=message.pair_coverage,
        pair_coverage_upper=message.pair_coverage_upper,
        pair_coverage_weighted=message.pair_coverage_weighted,
        pair_coverage_weighted_upper=message.pair_coverage_weighted_upper,
        isolates=tuple(message.isolates),
        islands=tuple(tuple(island.agencies) for island in message.islands),
        fragmentation=message.fragmentation,
        fragmentation_lower=message.fragmentation_lower,
        reciprocity=_or_none(message.reciprocity),
        within_sectors=_set_index(message.within_sectors),
        across_sectors=_set_index(message.across_sectors),
        silo_gap=_or_none(message.silo_gap),
        provider_concentration=message.provider_concentration,
        providers=tuple(
            ProviderRole(role.provider, role.links, role.share, role.loss, role.strict_loss)
            for role in message.providers
        ),
        bus_links=message.bus_links,
        bus_strict_loss=message.bus_strict_loss,
        resilience=_or_none(message.resilience),
        weakest=message.weakest,
        declared=message.declared,
        as_of=block.as_of.seconds,
        register_version=block.register_version,
        method_version=block.method_version,
        evidence_sequence=block.evidence_sequence,
    )


def structure_to_json(one: Structure) -> str:
    """One line of JSON in the protobuf mapping, with proto field names; zeros are written out."""
    return json_format.MessageToJson(
        structure_to_message(one),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
        ensure_ascii=False,
    )


def _set_index(message: indicator_pb2.SetIndex) -> SetIndex:
    point = message.point if message.HasField("point") else None
    return SetIndex(message.links, point, message.lower, message.upper, message.known_share)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
