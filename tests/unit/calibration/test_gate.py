"""The gate of the intervals counts what is published, and its page belongs to this code."""

from __future__ import annotations

import re

import numpy as np
import pytest

from services.indicator.method_version import METHOD_VERSION
from tests.calibration.cells import cells_of
from tests.calibration.gate import Found, Sums, run
from tests.calibration.government import KINDS, Government
from tests.calibration.published import Published, arrays_of
from tests.calibration.scenarios import REPLICATIONS, SCENARIOS, SEED, WINDOWS
from tests.calibration.simulate import live
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "calibration.md"


@pytest.mark.parametrize("name", ["own-faults", "partial"])
def test_the_gate_puts_intervals_together_as_they_are_published(name: str) -> None:
    """For one life, the gate's own sums give the same point and interval of every set as the published indicators."""
    scenario = next(one for one in SCENARIOS if one.name == name)
    government = Government.of(scenario, np.random.default_rng(1))
    lived = Sums(live(scenario, government, 90, np.random.default_rng(2)), government, young=False)
    published = Published(scenario, government, arrays_of(government, scenario), np.random.default_rng(2))
    for days in WINDOWS:
        mine, theirs = lived.intervals(days), published.intervals(days)
        for kind in KINDS:
            some = np.bincount(government.sets[kind].group, minlength=government.sets[kind].size) > 0
            for one, other in zip(mine[kind], theirs[kind], strict=True):
                assert one[some] == pytest.approx(other[some], abs=1e-9), (days, kind)


def test_lives_are_the_same_however_they_are_cut() -> None:
    """The figures of a scenario depend only on the numbers of its lives."""
    whole, parts = run(0, range(3)), [run(0, range(2)), run(0, range(2, 3))]
    for key, found in whole.items():
        assert found.low.tolist() == np.concatenate([part[key].low for part in parts]).tolist()


def test_coverage_is_counted_of_what_is_published() -> None:
    """Of two sets one is published. In four lives, three of its intervals hold the truth."""
    low = np.array([[0.1, np.nan], [0.2, np.nan], [0.6, np.nan], [0.5, np.nan]])
    found = Found(truth=np.array([0.5, 0.5]), estimate=low, low=low, high=low + 0.4)
    cells = cells_of(SCENARIOS[0], [{(days, kind): found for days in WINDOWS for kind in KINDS}])
    assert {cell.coverage for cell in cells} == {0.75}
    assert {round(cell.width, 9) for cell in cells} == {0.4}


def test_the_page_is_of_this_method_and_these_scenarios() -> None:
    """A change of the method, the seed or a scenario requires another run of the gate."""
    page = PAGE.read_text("utf-8")
    assert f"\nMethod {METHOD_VERSION}, seed {SEED}, {REPLICATIONS:,} lives of each scenario.\n" in page
    assert re.findall(r"^\* ([\w-]+): (.+)\.$", page.split("## Scenarios")[1], re.MULTILINE) == [
        (one.name, one.about + (" (known weak spot)" if one.weak else "")) for one in SCENARIOS
    ]
    told = re.findall(r"^\* (\d+) cells: (\d+) at \.95 or more, (\d+) at \.90 or more", page, re.MULTILINE)
    (tried, wanted, required), (weak, weak_wanted, weak_required) = told
    assert (required, weak_required) == (tried, weak)
    assert int(tried) + int(weak) == len(SCENARIOS) * len(WINDOWS) * len(KINDS)
    method = " ".join((PAGE.parent / "method.md").read_text("utf-8").split())
    assert f"{wanted} of {tried} cells reach .95 and {required} reach .90" in method
    assert f"{weak} cells of scenarios known to be weak {weak_wanted} reach .95 and {weak_required} reach .90" in method
    rows = re.findall(r"^\| ([\w-]+) \| (\d+) \|(.+)\|$", page, re.MULTILINE)
    assert [(name, int(days)) for name, days, _ in rows] == [(one.name, days) for one in SCENARIOS for days in WINDOWS]
    assert {len(cells.split("|")) for _, _, cells in rows} == {len(KINDS)}
