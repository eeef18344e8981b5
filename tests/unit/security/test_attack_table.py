"""`make attack` reports every attempt and how it ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.waiting import DEADLINE

_ATTACKS = '''
"""Nobody counts in secret."""

import pytest


@pytest.mark.parametrize("who", ["prober", "scorer"])
def test_one_is_not_two(who):
    """The numbers differ."""
    assert who == "prober", f"{who} made them equal"


@pytest.mark.slow
def test_three_is_not_four():
    """These differ as well."""
    pytest.skip("there is no four here")
'''

_TOLD = """
test_counting.py
Nobody counts in secret.

attack                   who, what     expected                        verdict
--------------------------------------------------------------------------------
one is not two           prober        The numbers differ.             held
                         scorer                                        BROKE
  > AssertionError: scorer made them equal assert 'scorer' == 'prober' - prober
    + scorer
three is not four                      These differ as well.           not tried
  > there is no four here

attempts                                      held     broke not tried
--------------------------------------------------------------------------------
test_counting.py                                 1         1         1
all                                              1         1         1
"""


def test_every_attempt_is_told(tmp_path: Path) -> None:
    """Each attempt, held, broke or not tried, is a row with what happened instead. A broken one fails the command."""
    (tmp_path / "test_counting.py").write_text(_ATTACKS)
    command = [sys.executable, "-m", "tests.security", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert (done.stdout, done.returncode) == (_TOLD, 1), done.stderr
