"""Test files that wait run beside those that compute."""

from __future__ import annotations

from itertools import pairwise

from tests.file_order import spread
from tests.support.paths import ROOT

WAITING = [ROOT / "tests" / kind / "test_a.py" for kind in ("conformance", "integration", "security")]
COMPUTING = [ROOT / "tests" / "unit" / kind / "test_b.py" for kind in ("api", "cli", "core", "docs", "security", "up")]


def test_files_of_either_kind_keep_their_order_and_are_spread() -> None:
    """No two waiting files follow each other here, none is the last, and a folder of unit tests is known by its place."""
    found = spread([*WAITING, *COMPUTING])
    assert [file for file in found if file in WAITING] == WAITING
    assert [file for file in found if file in COMPUTING] == COMPUTING
    places = [found.index(file) for file in WAITING]
    assert all(after - before > 1 for before, after in pairwise(places))
    assert places[-1] < len(found) - 1


def test_files_of_one_kind_stay_as_they_are() -> None:
    """Files of one kind, and files that are not ours, are not moved."""
    for files in (WAITING, COMPUTING, [ROOT / "elsewhere" / "security" / "test_c.py", *COMPUTING]):
        assert spread(files) == files
