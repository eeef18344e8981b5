"""Agencies share a limited number of series on the scorer's page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.indicator.register_arrays import RegisterArrays
from services.scorer.series import LINK_SERIES, SHARED_SERIES, AgencySeries


def arrays(agencies: int, links: int, windows: int = 3) -> RegisterArrays:
    """Return the parts of a register that the choice reads. Each agency has links."""
    sides = np.arange(max(links, agencies)) % agencies
    names = tuple(f"agency-{number:05d}" for number in range(agencies))
    found = SimpleNamespace(
        agencies=names,
        links=range(links),
        windows_days=range(windows),
        consumer=sides,
        provider=sides,
        largest_agencies=lambda: np.arange(agencies),
    )
    return cast(RegisterArrays, found)


@given(st.integers(1, 12_000), st.integers(1, 30_000), st.integers(1, 5))
def test_stages_and_agencies_stay_within_what_they_share(agencies: int, links: int, windows: int) -> None:
    """The series fit, however many agencies, links and windows. An agency with more series has the lesser ones too."""
    chosen = AgencySeries.of(arrays(agencies, links, windows))
    points, figures, whole = len(chosen.points), len(chosen.figures), len(chosen.windows)
    stages = links if links <= LINK_SERIES else 0
    assert stages + 2 * points + (2 * 8 + 8) * figures + (windows - 1) * 18 * whole <= SHARED_SERIES
    assert chosen.points[:figures] == chosen.figures
    assert chosen.figures[:whole] == chosen.windows
    assert chosen.linked == agencies
    assert points == min(agencies, 1_000)


def test_a_country_has_all_series() -> None:
    """105 agencies with 6,600 links have all series over three windows. Of 1,000 with 100,000 links some have fewer."""
    country, large = AgencySeries.of(arrays(105, 6_600)), AgencySeries.of(arrays(1_000, 100_000))
    assert set(country.left_out.values()) == {0}
    assert large.left_out == {"agency_index": 0, "agency_figures": 584, "agency_windows": 1_000}
