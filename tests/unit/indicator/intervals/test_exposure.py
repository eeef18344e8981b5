"""An outage of the bus reaches into a link's interval as far as it was seen to, and fully where it was not seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from services.core.model.indicator import IndicatorKind
from services.indicator.index.index import compute_indicators
from tests.calibration.government import Government
from tests.calibration.published import arrays_of, lived
from tests.calibration.scenarios import SCENARIOS, Layout

SCENARIO = replace(SCENARIOS[0], layout=Layout(agencies=3, providers=3, services=4, sectors=1, absent=0.0))
OK, FAILED, UNSEEN = 5, 0, -1


def intervals(bus: int, links: dict[int, int]) -> list[tuple[float, float]]:
    """Low and high of the first links over 90 days. For one day the bus was ``bus``, and each link as given."""
    government = Government.of(SCENARIO, np.random.default_rng(1))
    arrays = arrays_of(government, SCENARIO)
    verdicts = np.full((len(arrays.targets), 90 * 288), OK, dtype=np.int8)
    verdicts[-1, -2 * 288 : -288] = bus
    for link, stage in links.items():
        verdicts[link, -2 * 288 : -288] = stage
    snapshot = compute_indicators(lived(arrays, verdicts, 300, [90]))
    columns = snapshot.columns[IndicatorKind.LINK, 90]
    return list(zip(columns.interval_low.tolist(), columns.interval_high.tolist(), strict=True))[: len(links)]


def test_whom_the_bus_did_not_hurt_is_bounded_as_if_it_had_not_failed() -> None:
    """If a link answered during an outage of the bus, its interval has neither the bus's loss nor the margin for it."""
    ((low, high),) = intervals(FAILED, {0: OK})
    ((untouched, best),) = intervals(OK, {0: OK})
    assert high == best
    assert low > untouched  # without even the margin for a bus that was never seen to fail


def test_not_to_be_seen_in_an_outage_of_the_bus_narrows_nothing() -> None:
    """A link that was not measured while the bus was down may depend on the bus."""
    seen, unseen = intervals(FAILED, {0: FAILED, 1: UNSEEN})
    ((untouched, best),) = intervals(OK, {0: OK})
    assert unseen[0] < untouched
    assert unseen[1] <= best
    assert abs(unseen[0] - seen[0]) < 1e-3


def test_an_interval_that_the_bus_never_reached_rests_on_no_outage_of_it() -> None:
    """A link that answered while the bus was down rests on all outages of its own, however many slots are known."""
    government = Government.of(SCENARIO, np.random.default_rng(1))
    arrays = arrays_of(government, SCENARIO)
    for known in range(100, 104):
        verdicts = np.full((len(arrays.targets), 90 * 288), OK, dtype=np.int8)
        verdicts[0, :-288] = UNSEEN
        verdicts[0, 1 - 288 : 1 - known] = UNSEEN
        verdicts[0, [-45, -30, -15]] = FAILED
        verdicts[-1, -288:-60] = FAILED
        snapshot = compute_indicators(lived(arrays, verdicts, 300, [90]))
        assert snapshot.columns[IndicatorKind.LINK, 90].interval_outages[0] == 3, known
