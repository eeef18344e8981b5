"""When the api is SERVING."""

from __future__ import annotations

from services.api.health import LOST_SECONDS, Readiness


def test_serving_needs_register_and_government():
    """An api without register or government's block never serves, with or without a bus."""
    readiness = Readiness()
    assert not readiness.update(complete=False, fed=True, now=0.0)
    assert not readiness.update(complete=False, fed=False, now=1.0)
    assert readiness.update(complete=True, fed=True, now=2.0)


def test_a_lost_bus_is_tolerated_for_a_while():
    """A restart of the bus changes nothing. A bus gone for longer than LOST_SECONDS does, until it is back."""
    readiness = Readiness()
    assert readiness.update(complete=True, fed=False, now=100.0)
    assert readiness.update(complete=True, fed=False, now=100.0 + LOST_SECONDS)
    assert not readiness.update(complete=True, fed=False, now=100.1 + LOST_SECONDS)
    assert readiness.update(complete=True, fed=True, now=120.0)
    assert readiness.update(complete=True, fed=False, now=120.0 + LOST_SECONDS)
