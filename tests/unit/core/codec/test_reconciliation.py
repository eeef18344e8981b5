"""Reconciliations and traffic as messages and back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from peyvand.v1 import reconciliation_pb2
from services.core.codec.reconciliation import reconciliation_fields, traffic_to_message
from services.core.model.reconciliation import BusTraffic, Reconciliation, Traffic, Undeclared, Volume
from tests.support.values.message_values import reconciliation_from_message, traffic_from_message
from tests.support.values.reconciliations import disagreeing, traffic

WHOLE = disagreeing()


@pytest.mark.parametrize(
    "one",
    [
        WHOLE,
        replace(WHOLE, logs=None, probes=None, difference=None, disagrees=False, volume=None, silent=True),
        replace(WHOLE, volume=Volume(0, None, None)),
        replace(WHOLE, volume=Volume(0, 0.0, 0.0)),
        replace(WHOLE, last_hour=None),
        replace(WHOLE, as_of=0, last_hour=0),
    ],
)
def test_reconciliations_come_back(one: Reconciliation) -> None:
    """Every field is restored, and an unset one is None, not 0."""
    assert reconciliation_from_message(reconciliation_pb2.Reconciliation(**reconciliation_fields(one))) == one


def test_traffic_comes_back_with_shares() -> None:
    """Traffic is restored; its message has the share of each bus, also for a window without exchanges."""
    one = Traffic(7, 8, 2, 1, (BusTraffic("x", 6), BusTraffic("y", 2)), (Undeclared("_unmapped", "b", 2, 1),))
    message = traffic_to_message(one)
    assert [bus.share for bus in message.buses] == [0.75, 0.25]
    assert traffic_from_message(message) == one
    assert traffic_from_message(traffic_to_message(traffic())) == traffic()
    assert traffic_from_message(traffic_to_message(Traffic(28, 0, 0, 0, (), ()))) == Traffic(28, 0, 0, 0, (), ())
