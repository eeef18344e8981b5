"""Indicators on the bus, over gRPC and in JSON, and sensitivity analyses in JSON."""

from __future__ import annotations

from google.protobuf import json_format

from peyvand.v1 import indicator_pb2
from services.core.codec.units import to_timestamp
from services.core.model import (
    Indicator,
    Losses,
    RankSensitivity,
    Sensitivity,
)

__all__ = ["indicator_to_json", "indicator_to_message", "losses_to_message", "sensitivity_to_json"]


def indicator_to_message(row: Indicator) -> indicator_pb2.Indicator:
    """The message of one indicator; point and strict are left unset where they do not apply."""
    strict = row.strict
    return indicator_pb2.Indicator(
        kind=indicator_pb2.IndicatorKind.ValueType(row.kind),
        id=row.id,
        window_days=row.window_days,
        as_of=to_timestamp(row.as_of),
        register_version=row.register_version,
        probe_version=row.probe_version,
        method_version=row.method_version,
        evidence_sequence=row.evidence_sequence,
        point=row.point,
        lower=row.lower,
        upper=row.upper,
        known_share=row.known_share,
        losses=losses_to_message(row.losses),
        strict=indicator_pb2.Strict(point=strict.point, lower=strict.lower, upper=strict.upper) if strict else None,
        level=row.level,
        rank_band=indicator_pb2.RankBand(low=row.rank_band.low, high=row.rank_band.high) if row.rank_band else None,
        interval=indicator_pb2.Interval(low=row.interval.low, high=row.interval.high, level=row.interval.level)
        if row.interval
        else None,
        links_required=row.links_required,
        links_known=row.links_known,
        links_absent=row.links_absent,
    )


def losses_to_message(losses: Losses) -> indicator_pb2.Losses:
    """The message of losses by stage."""
    return indicator_pb2.Losses(
        not_connected=losses.not_connected,
        not_answered=losses.not_answered,
        invalid=losses.invalid,
        late=losses.late,
        stale=losses.stale,
    )


def indicator_to_json(row: Indicator) -> str:
    """One line of JSON in the protobuf mapping, with proto field names; zeros are written out."""
    return json_format.MessageToJson(
        indicator_to_message(row),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
        ensure_ascii=False,
    )


def sensitivity_to_json(row: Sensitivity) -> str:
    """One line of JSON in the protobuf mapping, with proto field names; zeros are written out."""
    message = indicator_pb2.Sensitivity(
        window_days=row.window_days,
        as_of=to_timestamp(row.as_of),
        register_version=row.register_version,
        probe_version=row.probe_version,
        method_version=row.method_version,
        ranks=map(_ranks, row.ranks),
    )
    return json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
        ensure_ascii=False,
    )


def _ranks(row: RankSensitivity) -> indicator_pb2.RankSensitivity:
    return indicator_pb2.RankSensitivity(
        kind=indicator_pb2.IndicatorKind.ValueType(row.kind),
        cases=row.cases,
        mean_rank_shift=row.mean_rank_shift,
        switches=[
            indicator_pb2.SwitchIndex(
                switch=one.switch,
                states=one.states,
                total_order=one.total_order,
                total_order_error=one.total_order_error,
                first_order=one.first_order,
                first_order_error=one.first_order_error,
            )
            for one in row.switches
        ],
    )
