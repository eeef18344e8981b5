"""Publishes measurements to the bus, by way of a spool on disk that survives a crash (docs/design.md §6)."""

from services.prober.publishing.measurements import measured, unmeasured
from services.prober.publishing.publisher import MeasurementPublisher
from services.prober.publishing.spool import Spool

__all__ = ["MeasurementPublisher", "Spool", "measured", "unmeasured"]
