"""Reports whether the scorer serves: it must read the bus, have a correct clock, and publish the index."""

from __future__ import annotations

from services.core.runtime import Health


class ReadinessReporter:
    """Combines the state of reading and of publishing.

    Before the first index, the reason is the current startup phase.
    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._reading: bool | None = None  # None: not known yet
        self._publishing: bool | None = None
        self._standing_by = False
        self._phase = self._clock = ""

    def begin_phase(self, phase: str) -> None:
        """Set the phase of the work before the first index. With a lot of evidence this takes minutes."""
        self._phase = phase
        if not (self._reading and self._publishing):
            self._update()

    def set_reading(self, *, ok: bool) -> None:
        """Record whether the last read of the bus succeeded."""
        self._reading = ok
        self._update()

    def set_clock(self, why: str) -> None:
        """Record what is wrong with the clock; "" if it is correct."""
        self._clock = why
        self._update()

    def set_publishing(self, *, ok: bool) -> None:
        """Record whether the last index was published."""
        self._publishing = ok
        self._update()

    def set_standing_by(self, *, active: bool) -> None:
        """Record whether this scorer stands by: another one publishes, and this one only has to be ready for it."""
        self._standing_by = active
        self._update()

    def _update(self) -> None:
        if self._reading is False:
            self._health.not_serving("the bus cannot be read")
        elif self._clock:
            self._health.not_serving(self._clock)
        elif self._reading and (self._publishing or self._standing_by):
            self._health.serving()
        elif self._publishing is False:
            self._health.not_serving("the index cannot be published")
        else:
            self._health.not_serving(self._phase)
