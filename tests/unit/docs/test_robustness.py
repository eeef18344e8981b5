"""docs/robustness.md names the faults of the campaign and tests that exist."""

from __future__ import annotations

import re

import pytest

from tests.chaos.faults import CLASSES
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "robustness.md").read_text("utf-8")


def test_the_classes_of_faults_are_those_of_the_campaign() -> None:
    """The table has exactly one row for each class."""
    table = PAGE.partition("| class | faults |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| (\w+) \|", table, re.MULTILINE)) == set(CLASSES)


def test_commands_name_classes_that_there_are() -> None:
    """Commands name existing classes of faults, because the campaign refuses others."""
    named = {one for classes in re.findall(r"--classes ([\w,]+)", PAGE) for one in classes.split(",")}
    assert named <= set(CLASSES)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\btests/[\w/]+(?:\.py)?", PAGE))))
def test_what_shows_a_finding_mended_is_there(path: str) -> None:
    """Every test and folder of tests that the page names exists."""
    assert (ROOT / path).exists()
