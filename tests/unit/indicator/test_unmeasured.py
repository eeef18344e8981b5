"""A new version of a register may require links in a past in which nobody measured them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.indicator.unmeasured import known_share_at_most, unmeasured_links
from services.register.directory.load import load_register
from tests.support.registers import write_register

NOW = 1_772_310_600.0  # 2026-03-01 in Tehran: sixty days after the epoch


def compared(tmp_path: Path, **changes: Any) -> tuple[tuple[str, ...], float]:
    """Return the unmeasured links of a changed register, and the known share of the last 28 days."""
    old = load_register(write_register(tmp_path / "old"))
    new = load_register(write_register(tmp_path / "new", **changes))
    return unmeasured_links(new, old, now=NOW), known_share_at_most(new, old, window=28, now=NOW)


def live(more: str) -> dict[str, Any]:
    """Return a change that adds a link to birth-certificate, which had only one."""
    return {"links_csv": ("deed-civil,", f"birth-land,birth-certificate,land-registry,deeds,{more},,,,,\ndeed-civil,")}


def test_nothing_new_leaves_all_known(tmp_path: Path) -> None:
    """The same register, and added links on paper, leave everything known."""
    assert compared(tmp_path) == ((), 1.0)
    assert compared(tmp_path, **live(",,,,,")) == ((), 1.0)


@pytest.mark.parametrize(
    ("dates", "known"),
    [
        (",,always", 1 - 0.5 / 6),  # half of a service of weight 1, beside others of 2, 1, 1 and 1
        ("2026-02-15,,always", 1 - 0.5 / 6),  # nothing is known of the days on which it counts
        (",,2026-02-15", 1 - 0.5 * (14 / 28) / 6),  # before, it was on paper, which is known
        ("2026-03-01,,always", 1.0),
        (",,2026-03-01", 1.0),
    ],
)
def test_an_added_link_is_unknown_from_the_day_it_counts(tmp_path: Path, dates: str, known: float) -> None:
    """An added link is unknown on past days on which it is required and live. From today on it costs nothing."""
    names, share = compared(tmp_path, **live(f"{dates},page,http://a.example/,"))
    assert share == pytest.approx(known)
    assert names == (() if known == 1.0 else ("birth-land",))


def test_a_link_that_was_on_paper_is_unknown_too(tmp_path: Path) -> None:
    """A link that is built is unknown in the past if `live_from` says that it was live then."""
    built = ("customs,liens,,,,,,", "customs,liens,,,always,page,http://a.example/,")
    names, share = compared(tmp_path, links_csv=built)
    assert names == ("transfer-customs",)
    assert share == pytest.approx(1 - 0.5 / 6)
