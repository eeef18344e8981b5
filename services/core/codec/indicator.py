"""Indicators on the bus, over gRPC and in JSON, and sensitivity analyses in JSON."""

from __future__ import annotations

from peyvand.v1 import indicator_pb2
from services.core.codec.units import copied_fields, message_to_json, to_timestamp
from services.core.model import Indicator, Losses, RankSensitivity, Sensitivity, SwitchIndex

_sensitivity_fields = copied_fields(Sensitivity, "as_of", "ranks")
_rank_fields, _switch_fields = copied_fields(RankSensitivity, "kind", "switches"), copied_fields(SwitchIndex)


def indicator_to_message(row: Indicator) -> indicator_pb2.Indicator:
    """Return the message of an indicator; what does not apply is left unset."""
    strict, band, interval = row.strict, row.rank_band, row.interval
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
        rank_band=indicator_pb2.RankBand(low=band.low, high=band.high) if band else None,
        interval=indicator_pb2.Interval(low=interval.low, high=interval.high, level=interval.level)
        if interval
        else None,
        links_required=row.links_required,
        links_known=row.links_known,
        links_absent=row.links_absent,
    )


def losses_to_message(losses: Losses) -> indicator_pb2.Losses:
    """Return the message of losses by stage."""
    return indicator_pb2.Losses(
        not_connected=losses.not_connected,
        not_answered=losses.not_answered,
        invalid=losses.invalid,
        late=losses.late,
        stale=losses.stale,
    )


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
