"""Sensitivity analyses in JSON."""

from __future__ import annotations

from google.protobuf import json_format

from peyvand.v1 import indicator_pb2
from services.core.codec.units import timestamp
from services.core.model import RankSensitivity, Sensitivity

__all__ = ["sensitivity_to_json"]


def sensitivity_to_json(row: Sensitivity) -> str:
    """One line of JSON in the protobuf mapping, with proto field names; zeros are written out."""
    message = indicator_pb2.Sensitivity(
        window_days=row.window_days,
        as_of=timestamp(row.as_of),
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
