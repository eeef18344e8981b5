"""What pages say of inquiries that nobody saw, and of those that are not in force: no figure that nobody measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from services.core.model import StrictShare
from tests.support.cases.api.blocks import SLOTS, blocks_of
from tests.support.console.case import Console
from tests.support.console.words import TAGS, text_of

_OK = (0, 0, 0, 0, 0, SLOTS)
_UNSEEN = (0,) * 6


def _take(console: Console, counts: Mapping[str, tuple[int, ...]], **figure: Any) -> None:
    """Give links these counts of slots by stage, in every window, and every indicator these values."""
    for key, block in blocks_of(console.api.register, sequence=8).items():
        links = tuple(
            replace(
                one,
                verdicts=np.array(
                    [counts.get(link, row) for link, row in zip(one.ids, one.verdicts.tolist(), strict=True)]
                ),
            )
            for one in block.links
        )
        figures = tuple(replace(one, **figure) for one in block.indicators)
        console.api.take(key, replace(block, indicators=figures, links=links))


async def test_no_gain_is_stated_of_an_inquiry_that_nobody_saw(console: Console) -> None:
    """The gain of such an inquiry and the stage at which it is lost are guesses, so it is left out where gains are listed."""
    assert "/en/link/deed-tax" in (await console.get("/en/")).text
    _take(console, {"deed-tax": _UNSEEN})
    await console.refresh()
    for path in ("/en/", "/en/agency/tax-office"):
        gains = (await console.get(path)).text.partition("Lost because")[2].partition("</table>")[0]
        assert "deed-tax" not in gains, path
    assert "/en/link/deed-civil" in (await console.get("/en/")).text
    assert "If it were always answered" not in (await console.get("/en/link/deed-tax")).text
    assert "If it were always answered" in (await console.get("/en/link/deed-civil")).text


@pytest.mark.parametrize(
    ("lost", "known", "said"),
    [
        (_OK, 1.0, "Nothing is lost: every required inquiry was answered."),
        (_UNSEEN, 0.9, "Nothing of what was seen is lost."),
        (_UNSEEN, 0.9997, "Nothing of what was seen is lost."),
    ],
)
async def test_nobody_says_that_all_was_answered_unless_all_was_seen(
    console: Console, lost: tuple[int, ...], known: float, said: str
) -> None:
    """Where nothing is lost, the overview says whether that holds of every inquiry or only of those that were seen."""
    counts = dict.fromkeys(console.api.register.links, _OK) | {"deed-tax": lost}
    _take(console, counts, known_share=known, lower=known)
    await console.refresh()
    assert said in (await console.get("/en/")).text


@pytest.mark.parametrize(
    ("threshold", "known", "said"),
    [(0.825, 0.8249, "82.4% of the weight was seen, and a number is published from 82.5% on"),
     (0.8, 0.79996, "79.9% of the weight was seen, and a number is published from 80% on")],
)  # fmt: skip
async def test_too_little_does_not_look_like_enough(
    make_console: Any, empty_api: Any, threshold: float, known: float, said: str
) -> None:
    """The share that was seen is written below the threshold that it misses, on every page and however little it lacks."""
    register = empty_api.register
    empty_api.take_register(replace(register, policy=replace(register.policy, publish_threshold=threshold)))
    for key, block in blocks_of(empty_api.register).items():
        figures = tuple(replace(one, point=None, interval=None, known_share=known) for one in block.indicators)
        empty_api.take(key, replace(block, indicators=figures))
    console = await make_console()
    assert said in TAGS.sub("", (await console.get("/en/")).text)
    enough = TAGS.sub(" ", (await console.get("/en/monitor")).text)
    assert f"A number is published where {said.split()[-2]} or more" in " ".join(enough.split())
    agencies = TAGS.sub("", (await console.get("/en/agencies")).text)
    assert f"{int(100 * known)}%" in agencies


async def test_a_pair_without_a_point_says_why(console: Console) -> None:
    """A pair without a point has its bounds, how much of it is known, and from how much on there is a number."""
    pair = "/en/matrix/land-registry/tax-office"
    before = await text_of(console, pair)
    assert "Too little is known" not in before
    assert "Known 100.0%" in before
    _take(console, {link.id: _UNSEEN for link in console.api.register.links.values() if link.provider == "tax-office"})
    await console.refresh()
    after = await text_of(console, pair)
    assert (
        "Too little is known for a number: 0.0% of the weight was seen, and a number is published from 80% on" in after
    )
    assert "Known 0.0%" in after


async def test_a_service_says_how_much_is_known_of_it_from_start_to_end(console: Console) -> None:
    """What is known of a service from start to end may be less than of its inquiries. Without a point it is a range."""
    _take(console, {}, strict=StrictShare(0.6, 0.3, 0.8))
    await console.refresh()
    page = (await text_of(console, "/en/service/title-deed")).partition("From start to end")[2]
    assert "60.0% of the time" in page
    assert "30.0 to 80.0 Known 50.0%" in page
    _take(console, {}, strict=StrictShare(None, 0.0, 1.0), evidence_sequence=9)
    await console.refresh()
    page = (await text_of(console, "/en/service/title-deed")).partition("From start to end")[2]
    assert "0.0 to 100.0 of 100" in page
    assert "Known 0.0%" in page


async def test_what_was_not_measured_enough_is_not_called_unstated(console: Console) -> None:
    """The bar of what was measured says that too little is known. Only an official score can be left unstated."""
    _take(console, {}, point=None)
    await console.refresh()
    bars = (await console.get("/en/")).text.partition('<figure data-part="bars">')[2].partition("<details>")[0]
    assert "too little known" in bars.partition(">Measured<")[2]
    assert "not stated" not in bars.partition(">Measured<")[2]


async def test_what_is_not_in_force_has_no_figure(make_console: Any, empty_api: Any) -> None:
    """An inquiry that is not in force yet is listed as such, without an index, bounds, or the word that it is on paper."""
    links = dict(empty_api.register.links)
    for name in ("deed-tax", "transfer-customs"):
        links[name] = replace(links[name], required_from=date(2199, 1, 1))
    empty_api.take_register(replace(empty_api.register, links=links))
    for key, block in blocks_of(empty_api.register).items():
        figures = tuple(one for one in block.indicators if one.id not in ("deed-tax", "transfer-customs"))
        empty_api.take(key, replace(block, indicators=figures))
    console = await make_console()
    for path, link in (
        ("/agency/land-registry", "deed-tax"),
        ("/agency/land-registry", "transfer-customs"),
        ("/matrix/land-registry/tax-office", "deed-tax"),
    ):
        row = (await console.get(f"/en{path}")).text.rpartition(f"/en/link/{link}")[2].partition("</tr>")[0]
        assert "Not in force" in row, (path, link)
        assert "on paper" not in row
        assert '<data value="1.0"' not in row
    journey = (await console.get("/en/service/title-transfer")).text.partition("/en/link/transfer-customs")[2]
    assert "Not in force" in journey.partition("</li>")[0]
    page = (await console.get("/en/link/transfer-customs")).text
    assert "It is not in force in this window." in page
    assert "still made on paper" not in page
