"""When the api says SERVING."""

from __future__ import annotations

from services.api.component import LOST_SECONDS, Readiness


def test_serving_needs_the_whole_picture():
    """An api without register or government block never serves, bus or no bus."""
    readiness = Readiness()
    assert not readiness.update(complete=False, fed=True, now=0.0)
    assert not readiness.update(complete=False, fed=False, now=1.0)
    assert readiness.update(complete=True, fed=True, now=2.0)


def test_a_lost_bus_is_borne_for_a_while():
    """A restart of the bus changes nothing; a bus gone for longer than LOST_SECONDS does, until it is back."""
    readiness = Readiness()
    assert readiness.update(complete=True, fed=False, now=100.0)
    assert readiness.update(complete=True, fed=False, now=100.0 + LOST_SECONDS)
    assert not readiness.update(complete=True, fed=False, now=100.1 + LOST_SECONDS)
    assert readiness.update(complete=True, fed=True, now=120.0)
    assert readiness.update(complete=True, fed=False, now=120.0 + LOST_SECONDS)
