"""Whether the scorer serves: the bus answers, and the index on it is ours. If not, why not."""

from __future__ import annotations

from services.core.runtime import Health

__all__ = ["ReadinessReporter"]


class ReadinessReporter:
    """Puts together what reading and publishing say of themselves, and until the first index what a start is at."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._reads: bool | None = None  # None: nothing is known yet
        self._publishes: bool | None = None
        self._beginning = self._why = ""

    def begins(self, what: str) -> None:
        """Note what has to be done before there is an index; of large evidence it takes minutes."""
        self._beginning = what
        if not (self._reads and self._publishes):
            self._tell()

    def reads(self, well: bool) -> None:  # what is said of reading is whether it goes well
        """Note whether the bus could be read just now."""
        self._reads = well
        self._tell()

    def publishes(self, well: bool, why: str = "the index cannot be published") -> None:  # likewise
        """Note whether the index could be published just now, and ``why`` not."""
        self._publishes, self._why = well, why
        self._tell()

    def _tell(self) -> None:
        if self._reads and self._publishes:
            self._health.serving()
        elif self._reads is False:
            self._health.not_serving("the bus cannot be read")
        elif self._publishes is False:
            self._health.not_serving(self._why)
        else:
            self._health.not_serving(self._beginning)
