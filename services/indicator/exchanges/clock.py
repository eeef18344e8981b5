"""Hours of UTC laid out by a local clock, so that the same hour of two days is the same time of day in both.

Where clocks change, an hour is left out or comes twice. Neither compares with that hour of other days, so both stand for
what is usual: the median of the same hour of the same weekday.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["align_to_clock"]

_WEEK_HOURS = 168


def align_to_clock(counts: NDArray[np.int64], clock: NDArray[np.int64]) -> NDArray[np.int64] | NDArray[np.float64]:
    """Lay out consecutive hours (m, h) by the local hour that each begins in, ``clock`` (h,), whose last is the latest.

    Returns a column for each local hour from the first to the last, (m, l); ``counts`` itself where clocks do not change.
    """
    if not clock.size or (np.diff(clock) == 1).all():
        return counts
    at = clock - clock.min()
    times = np.bincount(at)
    laid = np.zeros((len(counts), len(times)))
    whole = times[at] == 1
    laid[:, at[whole]] = counts[:, whole]
    for hour in np.flatnonzero(times != 1):
        weeks = np.arange(hour % _WEEK_HOURS, len(times), _WEEK_HOURS)
        if len(others := weeks[times[weeks] == 1]):
            laid[:, hour] = np.median(laid[:, others], axis=1)
    return laid
