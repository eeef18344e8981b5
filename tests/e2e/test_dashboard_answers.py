"""Every query of every dashboard answers in a real Prometheus, and its answer moves when something breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.dashboards.asking import offered, over
from tests.dashboards.grafana import Asked, View, dashboard, interpolated, names, panels, queries, variables
from tests.dashboards.picture import picture
from tests.support.cases.dashboards.moves import Move, moved
from tests.support.cases.dashboards.register import AGENCY, LINK
from tests.support.cases.dashboards.rubbish import STRANGER
from tests.support.cases.dashboards.story import (
    BLIND,
    BROKEN,
    BUS,
    EXPIRED,
    JOINS,
    PILES,
    REGISTER,
    RUBBISH,
    SLOW,
    STANDS,
    Story,
    told,
)
from tests.support.cases.sandbox_register import read_rows
from tests.support.nats import running_nats

VARIABLES = {
    "window": "28",
    "sector": ".+",
    "agency": AGENCY,
    "link": LINK,
    "job": "prober|scorer|archive|collector|api",
    "instance": ".+",
}
ATTEMPTS = 3
LOOKED_AT = {"link/Certificate": EXPIRED, "link/Phases": SLOW, "link/Duration, by prober": SLOW}
"""Panels whose queries are about another link."""

RISES, FALLS, APPEARS, STANDS_STILL = Move("rises"), Move("falls"), Move("appears"), Move("stands")
ANSWERS = {
    "government/Integration index": (BROKEN, FALLS),
    "government/Bounds": (BROKEN, FALLS),
    "government/Known share": (STANDS, FALLS),
    "government/Three bars/A": (REGISTER, RISES),
    "government/Three bars/B": (REGISTER, FALLS),
    "government/Three bars/C": (BROKEN, FALLS),
    "government/Links now/A": (BROKEN, FALLS),
    "government/Links now/B": (BROKEN, RISES),
    "government/Links now/C": (STANDS, RISES),
    "government/Links now/D": (REGISTER, RISES),
    "government/Loss waterfall/A": (BROKEN, FALLS),
    "government/Loss waterfall/B": (STANDS, Move("vanishes")),  # what is required: always 1 while it is published
    "government/Loss waterfall/H": (BROKEN, FALLS),
    "government/Loss waterfall": (BROKEN, RISES),
    "government/Trend/D": (STANDS, Move("vanishes")),  # always 0 in such a short record, while it is published
    "government/Trend/E": (BROKEN, FALLS),
    "government/Trend": (BROKEN, FALLS),
    "government/The data bus": (BROKEN, FALLS),
    "government/Findings now": (BROKEN, Move("rises", of={"kind": "bus_failures"})),
    "government/Findings over time": (BROKEN, Move("rises", of={"kind": "bus_failures"})),
    "government/Islands": (REGISTER, RISES),
    "government/Structure/A": (REGISTER, FALLS),
    "government/Structure/B": (REGISTER, FALLS),
    "government/Structure/C": (BROKEN, Move("leaves")),
    "government/Silos and concentration/A": (BROKEN, Move("leaves")),
    "government/Silos and concentration/B": (REGISTER, Move("leaves")),
    "government/Worst providers/C": (STANDS, FALLS),
    "government/Worst providers": (BROKEN, FALLS),
    "government/Worst consumers/C": (STANDS, FALLS),
    "government/Worst consumers": (BROKEN, FALLS),
    "government/Sectors": (BROKEN, FALLS),
    "government/Costliest links": (BROKEN, APPEARS),
    "agency/Index as consumer": (BROKEN, FALLS),
    "agency/Index as provider": (BROKEN, FALLS),
    "agency/Bounds as consumer/C": (STANDS, FALLS),
    "agency/Bounds as consumer": (BROKEN, FALLS),
    "agency/Bounds as provider/C": (STANDS, FALLS),
    "agency/Bounds as provider": (BROKEN, FALLS),
    "agency/Loss as consumer": (BROKEN, Move("rises", of={"stage": "late"})),
    "agency/Loss as provider": (BROKEN, Move("rises", of={"stage": "stale"})),
    "agency/Reasons now, as consumer": (BROKEN, APPEARS),
    "agency/Reasons now, as provider": (BROKEN, APPEARS),
    "agency/Services of this agency/C": (BROKEN, RISES),
    "agency/Services of this agency": (BROKEN, FALLS),
    "agency/Its links by stage": (BROKEN, Move("appears", of={"verdict": "not_answered"})),
    "agency/Costliest as consumer": (BROKEN, APPEARS),
    "agency/Costliest as provider": (BROKEN, APPEARS),
    "agency/Exchanges as consumer": (BROKEN, Move("rises", of={"result": "bus_failure"})),
    "agency/Exchanges as provider": (BROKEN, Move("rises", of={"result": "bus_failure"})),
    "agency/Findings": (BROKEN, RISES),
    "agency/Whom it asks most": (BROKEN, Move("appears", of={"provider": STRANGER})),
    "link/Error budget burn": (BROKEN, APPEARS),
    "link/Cost to the government": (BROKEN, APPEARS),
    "link/Certificate": (BROKEN, Move("falls", past=0)),
    "link/Why it was not OK": (BROKEN, APPEARS),
    "link/Last settled slot": (BROKEN, FALLS),
    "link/Stage by slot": (BROKEN, FALLS),
    "link/Answered well": (BROKEN, FALLS),
    "link/Phases": (BROKEN, Move("rises", of={"phase": "processing"})),
    "link/Duration, by prober": (BROKEN, RISES),
    "link/HTTP status": (BROKEN, Move("rises", past=499)),
    "link/Success, by prober": (BROKEN, FALLS),
    "link/Answered: probes and exchanges": (BROKEN, FALLS),
    "link/Exchanges of this link": (BROKEN, Move("rises", of={"result": "failed"})),
    "pipeline/Components": (STANDS, FALLS),
    "pipeline/Message bus": (BUS, FALLS),
    "pipeline/Vantages": (BLIND, RISES),
    "pipeline/Index behind": (BUS, RISES),
    "pipeline/Spooled batches": (BUS, RISES),
    "pipeline/Probes by outcome": (BROKEN, Move("rises", of={"outcome": "not_answered"})),
    "pipeline/Lag of starts": (STANDS, RISES),
    "pipeline/Lost probes/A": (STANDS, RISES),
    "pipeline/Lost probes/B": (JOINS, RISES),
    "pipeline/Lost probes/C": (STANDS, RISES),
    "pipeline/Under way": (BROKEN, RISES),
    "pipeline/Share of each prober": (JOINS, FALLS),
    "pipeline/Probers alive": (JOINS, RISES),
    "pipeline/Unknown, by reason": (BLIND, Move("rises", of={"reason": "vantage_blind"})),
    "pipeline/Spool": (BUS, RISES),
    "pipeline/Acknowledgement": (BUS, RISES),
    "pipeline/NATS streams: stored": (STANDS, Move("falls", of={"stream": "MEASUREMENTS"})),
    "pipeline/NATS streams: size": (STANDS, Move("stands", of={"stream": "MEASUREMENTS"})),
    "pipeline/NATS streams: messages": (STANDS, Move("stands", of={"stream": "MEASUREMENTS"})),
    "pipeline/Scorer: messages to read": (PILES, RISES),
    "pipeline/Delay/A": (BUS, RISES),
    "pipeline/Delay/B": (STANDS, RISES),
    "pipeline/Delay/C": (STANDS, RISES),
    "pipeline/Refresh/A": (BUS, Move("vanishes")),  # while the bus is down nothing is refreshed
    "pipeline/Refresh/B": (BUS, RISES),
    "pipeline/Measurements": (STANDS, FALLS),
    "pipeline/Must stay at nothing/C": (BUS, RISES),
    "pipeline/Must stay at nothing": (RUBBISH, RISES),
    "pipeline/Not archived yet": (BUS, RISES),
    "pipeline/Archived": (STANDS, Move("falls", of={"kind": "measurement"})),
    "pipeline/Days and messages/A": (PILES, Move("vanishes")),
    "pipeline/Days and messages/B": (RUBBISH, RISES),
    "pipeline/Sources read up to/C": (BUS, RISES),
    "pipeline/Sources read up to": (BLIND, Move("rises", of={"source": "ss1"})),
    "pipeline/Sources": (BLIND, FALLS),
    "pipeline/Exchange records/B": (RUBBISH, RISES),
    "pipeline/Exchange records/C": (BROKEN, FALLS),  # only one side logs a failed exchange
    "pipeline/Exchange records": (BLIND, FALLS),
    "pipeline/Waiting in the collector/A": (RUBBISH, RISES),
    "pipeline/Waiting in the collector/B": (BUS, STANDS_STILL),
    "pipeline/Requests to the api": (RUBBISH, Move("appears", of={"code": "NOT_FOUND"})),
    "pipeline/Time to answer": (BUS, RISES),
    "pipeline/Watches": (RUBBISH, FALLS),
}
"""By dashboard and panel, or by one query of a panel: what is done, and how the answer moves then."""


def expected(one: Asked) -> tuple[str, Move]:
    return ANSWERS.get(one.id) or ANSWERS[one.id.rpartition("/")[0]]


def test_every_query_is_listed_with_what_moves_it() -> None:
    """Every query is listed, and every listed panel exists."""
    asked = [one.id for name in names() for one in queries(name)]
    assert {one for one in asked if one not in ANSWERS and one.rpartition("/")[0] not in ANSWERS} == set()
    assert {
        one for one in ANSWERS if one not in asked and not any(each.rpartition("/")[0] == one for each in asked)
    } == set()


@pytest.mark.slow
async def test_every_answer_moves_when_something_breaks(tmp_path: Path) -> None:
    """Every query answers with numbers when Prometheus is asked as Grafana asks it, and the numbers move when the thing
    breaks that the panel shows. Queries that a busy machine blurs are tried again.
    """
    asked = [one for name in names() for one in queries(name)]
    for attempt in range(ATTEMPTS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        async with running_nats(folder / "nats") as nats, told(nats, folder) as story:
            view = View(story.calm, max(story.ended.values()), VARIABLES, scrape=1.0)
            unmoved = _unmoved(story, asked, view)
            asked = [one for one in asked if one.id in unmoved]
            if not asked:
                _assert_pictures_and_choices(story, view)
                return
    pytest.fail("\n".join(f"{name} {unmoved[name]}" for name in unmoved))


def _unmoved(story: Story, asked: list[Asked], view: View) -> dict[str, str]:
    """Return the queries whose answers did not move as expected, with those answers."""
    # Prometheus answers at whole steps from the first of these times.
    times = [float(second) for second in range(int(view.start) + 1, int(view.end) + 1)]
    found = {}
    for one in asked:
        what, move = expected(one)
        own = LOOKED_AT.get(one.id.rpartition("/")[0])
        values = {**view.values, **({"link": own} if own else {})}
        before = [at for at in times if at < story.begun[what]]
        during = [at for at in times if story.begun[what] <= at <= story.ended[what]]
        answer = over(story.prometheus, interpolated(one.expression, values), times[0], times[-1], 1.0)
        assert answer is not None
        if not moved(answer, move, before, during):
            found[one.id] = f"{move.how} {move.of}: {_seen(answer, before, during)}"
    return found


def _assert_pictures_and_choices(story: Story, view: View) -> None:
    """Assert that every panel is drawn and that variables offer what the register has."""
    for name in names():
        drawn = etree.fromstring(picture(story.prometheus, name, view).encode())
        texts = " ".join(map(str, drawn.itertext()))
        assert all(panel["title"].split(" · ")[0][:12] in texts for panel in panels(dashboard(name)))
    assert {name: what for one in names() for name, what in _offered(story, one, view)} == {
        "console": [],  # none runs here
        "window": ["28", "7", "90"],
        "sector": sorted({row["sector"] for row in read_rows(story.register / "agencies.csv")}),
        "agency": sorted(row["id"] for row in read_rows(story.register / "agencies.csv")),
        "link": sorted(row["id"] for row in read_rows(story.register / "links.csv") if _consumer(story, row) == AGENCY),
        "job": sorted(VARIABLES["job"].split("|")),
        "instance": sorted(place for name, place in story.components.metrics.items() if name != "sandbox"),
    }


def _seen(answer, before, during) -> list[Any]:
    return [
        (dict(one.labels), [[one.values.get(at) for at in times] for times in (before, during)]) for one in answer[:4]
    ]


def _offered(story, name, view):
    return [
        (variable, offered(story.prometheus, interpolated(query, view.values), view.start, view.end))
        for variable, query in variables(name).items()
    ]


def _consumer(story, link):
    return next(row["agency"] for row in read_rows(story.register / "services.csv") if row["id"] == link["service"])
