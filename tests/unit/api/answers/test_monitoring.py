"""GetMonitoring over a real gRPC server."""

from __future__ import annotations

from dataclasses import replace

import grpc

from peyvand.v1 import indicator_service_pb2 as messages
from peyvand.v1 import outcome_pb2
from tests.support.cases.api.blocks import AS_OF, MONITORING, blocks_of


async def test_it_has_vantages_and_streams(api):
    """The answer has everything that the scorer reported, with the time and evidence sequence of the index."""
    answer = await api.indicators.GetMonitoring(messages.GetMonitoringRequest())
    assert (answer.as_of.seconds, answer.evidence_sequence) == (AS_OF, 7)
    found = answer.monitoring
    assert (found.slots_from.seconds, found.slots_to.seconds) == (MONITORING.slots_from, MONITORING.slots_to)
    assert [(one.vantage, one.expected, one.delivered) for one in found.vantages] == [
        ("north", 576, 570),
        ("south", 576, 0),
    ]
    north, south = found.vantages
    assert [(one.reason, one.measurements) for one in north.unknown] == [(outcome_pb2.REASON_VANTAGE_BLIND, 16)]
    assert north.newest_slot.seconds == AS_OF - 300
    assert not south.HasField("newest_slot")
    measurements, index = found.streams
    assert (measurements.stream, measurements.behind, measurements.lost, measurements.gaps_accepted) == (
        "MEASUREMENTS",
        3,
        2,
        1,
    )
    assert not index.HasField("behind")
    assert (found.since.seconds, found.late, found.refused, found.rejected) == (AS_OF - 9000, 11, 12, 13)
    assert (found.batches_missing, found.batches_broken) == (14, 15)


async def test_it_is_unavailable_until_a_scorer_reports_it(api, refusal):
    """While the scorer's block has no report, the call is UNAVAILABLE with its reason."""
    government = blocks_of(api.register)["government"]
    api.take("government", replace(government, monitoring=None))
    code, info, _ = await refusal(api.indicators.GetMonitoring(messages.GetMonitoringRequest()))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "MONITORING_UNPUBLISHED")
