"""Converts the health of Peyvand itself to a message and back."""

from __future__ import annotations

from peyvand.v1 import monitoring_pb2, outcome_pb2
from services.core.codec.units import copied_fields, optional_field, to_timestamp
from services.core.model import Monitoring, StreamHealth, VantageHealth, known_reason

_monitoring_fields = copied_fields(Monitoring, "slots_from", "slots_to", "vantages", "streams", "since")
_stream_fields = copied_fields(StreamHealth)
_vantage_fields = copied_fields(VantageHealth, "unknown", "newest_slot")


def monitoring_to_message(monitoring: Monitoring) -> monitoring_pb2.Monitoring:
    """Return the message."""
    return monitoring_pb2.Monitoring(
        slots_from=to_timestamp(monitoring.slots_from),
        slots_to=to_timestamp(monitoring.slots_to),
        vantages=map(_vantage, monitoring.vantages),
        streams=[monitoring_pb2.StreamHealth(**_stream_fields(stream)) for stream in monitoring.streams],
        since=to_timestamp(monitoring.since),
        **_monitoring_fields(monitoring),
    )


def _vantage(vantage: VantageHealth) -> monitoring_pb2.VantageHealth:
    return monitoring_pb2.VantageHealth(
        unknown=[
            monitoring_pb2.UnknownCount(
                reason=outcome_pb2.Reason.ValueType(reason or outcome_pb2.REASON_UNSPECIFIED), measurements=count
            )
            for reason, count in vantage.unknown
        ],
        newest_slot=None if vantage.newest_slot is None else to_timestamp(vantage.newest_slot),
        **_vantage_fields(vantage),
    )


def monitoring_from_message(message: monitoring_pb2.Monitoring) -> Monitoring:
    """Return the health of a message."""
    return Monitoring(
        slots_from=message.slots_from.seconds,
        slots_to=message.slots_to.seconds,
        vantages=tuple(
            VantageHealth(
                unknown=tuple((known_reason(count.reason), count.measurements) for count in one.unknown),
                newest_slot=one.newest_slot.seconds if one.HasField("newest_slot") else None,
                **_vantage_fields(one),
            )
            for one in message.vantages
        ),
        streams=tuple(
            StreamHealth(**_stream_fields(one) | {"behind": optional_field(one, "behind")}) for one in message.streams
        ),
        since=message.since.seconds,
        **_monitoring_fields(message),
    )
