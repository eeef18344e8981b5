"""Whether the scorer serves: the bus answers, and the index on it is ours."""

from __future__ import annotations

from services.core.runtime import Health

__all__ = ["Serving"]


class Serving:
    """Puts together what reading and publishing say of themselves."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._reads = self._publishes = False

    def reads(self, well: bool) -> None:  # what is said of reading is whether it goes well
        """Note whether the bus could be read just now."""
        self._reads = well
        self._tell()

    def publishes(self, well: bool) -> None:  # likewise
        """Note whether the index could be published just now."""
        self._publishes = well
        self._tell()

    def _tell(self) -> None:
        if self._reads and self._publishes:
            self._health.serving()
        else:
            self._health.not_serving()
