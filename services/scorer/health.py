"""Whether the scorer serves: it reads the bus, and its index is published. If not, the reason."""

from __future__ import annotations

from services.core.runtime import Health


class ReadinessReporter:
    """Combines the state of reading and of publishing; before the first index, the phase of the start is the reason."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._reading: bool | None = None  # None: not known yet
        self._publishing: bool | None = None
        self._phase = self._why = ""

    def begin_phase(self, phase: str) -> None:
        """Set the phase of work before the first index; with large evidence it takes minutes."""
        self._phase = phase
        if not (self._reading and self._publishing):
            self._update()

    def set_reading(self, *, ok: bool) -> None:
        """Record whether the last read of the bus succeeded."""
        self._reading = ok
        self._update()

    def set_publishing(self, *, ok: bool, why: str = "the index cannot be published") -> None:
        """Record whether the last index was published, and ``why`` not."""
        self._publishing, self._why = ok, why
        self._update()

    def _update(self) -> None:
        if self._reading and self._publishing:
            self._health.serving()
        elif self._reading is False:
            self._health.not_serving("the bus cannot be read")
        elif self._publishing is False:
            self._health.not_serving(self._why)
        else:
            self._health.not_serving(self._phase)
