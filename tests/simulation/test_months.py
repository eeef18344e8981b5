"""A few simulated months, including those that once found a fault. `make simulate` runs many more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache

import pytest

from tests.simulation.month import simulate
from tests.support.paths import ROOT

FOUND = {
    61: "a folder was lost after the stream had begun anew, and did not come out of the dataset",
    72: "a prober ended when its disk was read-only",
    455: "a scorer that did not see the archive left out what a former stream had",
    3803: "what a disk had refused to remove was sent again by a run weeks later",
    3825: "segments that had been removed were there again after a power cut, and their days were sealed late",
    7025: "an archive was killed between rows and their batches, and kept the rows when their stream was recreated",
}
"""Seeds that found a fault, and which (docs/robustness.md). They find it only as long as months are drawn this way."""


_month = cache(simulate)
"""The month of a seed, simulated once."""


@pytest.mark.parametrize("seed", [2, 3, 4, *FOUND])
def test_a_month_with_faults_loses_and_invents_nothing(seed: int) -> None:
    """Every verdict is true, scorer and archive have each acknowledged measurement once, the index is the oracle's."""
    assert _month(seed).faults == ()


def test_a_seed_is_one_history() -> None:
    """The same seed gives the same month, event by event, also in another process with other hashes of strings."""
    program = "import json; from tests.simulation.month import simulate; print(json.dumps(simulate(3).digest))"
    environment = {**os.environ, "PYTHONHASHSEED": "17", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    assert json.loads(run.stdout.splitlines()[-1]) == _month(3).digest


def test_months_are_simulated_in_processes() -> None:
    """The command simulates months in processes of their own, here those of seeds 0 and 1, and finds nothing in them."""
    words = [sys.executable, "-m", "tests.simulation", "--seeds", "2", "--jobs", "2"]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "2 months" in run.stdout
    assert "faults found with 0 seeds" in run.stdout
