"""Each question of docs/questions.md gets the right answer from a dataset with known answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest

from tests.support.cases.datasets.questions import FEBRUARY, FRIDAY, SATURDAY, Made, Rows, make, moment
from tests.support.doc_blocks import Block, blocks
from tests.support.paths import ROOT

PAGE = "docs/questions.md"
VIEWS, *QUESTIONS = blocks(PAGE)

ANSWERS: dict[str, tuple[str, Rows | Callable[[Made], Rows]]] = {
    "1": (
        "link provider failed answered share",
        [
            ("deed-tax", "tax-office", 36, 12, 0.75),
            ("deed-civil", "civil-registry", 30, 18, 0.625),
            ("transfer-civil", "civil-registry", 0, 24, 0.0),
        ],
    ),
    "2": ("provider week answers milliseconds", Made.percentiles),
    "3": (
        "provider hour consumers slots",
        [
            ("land-registry", moment(FRIDAY, 10), 1, 12),  # two vantages disagreed
            ("tax-office", moment(SATURDAY, 10), 2, 24),  # nothing is known of the third
            ("civil-registry", moment(SATURDAY, 11), 1, 12),
        ],
    ),
    "4": ("vantage measurements unknown mostly", Made.unknown),
    "5": (
        "link endpoint vantage expires",
        [
            ("permit-tax", None, "north", datetime(2026, 3, 15, tzinfo=UTC)),
            (None, "portal", "south", datetime(2026, 3, 20, tzinfo=UTC)),
            ("deed-civil", None, "north", datetime(2026, 3, 25, tzinfo=UTC)),
        ],
    ),
    "6": (
        "day client exchanges failed share",
        [
            (date.fromisoformat(FEBRUARY), "GOV/M/2/DEEDS", 110, 11, 0.1),
            (date.fromisoformat(FRIDAY), "GOV/M/3/CUSTOMS", 40, 10, 0.25),
            (date.fromisoformat(FRIDAY), "GOV/M/2/DEEDS", 64 + 5, 2, 2 / 69),
        ],
    ),
    "7": (
        "consumer provider exchanges declared",
        [
            ("customs", "civil-registry", 40 + 2, False),
            ("land-registry", "customs", 5, True),
            ("GOV/X/9", "civil-registry", 3, False),
        ],
    ),
    "8": (
        "day point lower upper moved other_rules",
        [
            (date.fromisoformat(FEBRUARY), 0.5, 0.25, 0.875, None, None),
            (date.fromisoformat(FRIDAY), 0.5625, 0.25, 0.875, 0.0625, False),
            (date.fromisoformat(SATURDAY), None, 0.25, 0.875, None, True),
        ],
    ),
    "9": (
        "id kind subject since ended_at seen expected note",
        [
            (f"{2:016x}", "rise", "xroad GOV/P/1/service", moment("2026-03-05"), None, 2.5, 9.5, "2 confirmed"),
        ],
    ),
    "10": (
        "link one other slots only_one_ok only_other_ok",
        [("clearance-land", "north", "south", 48 - 2, 12, 2)],
    ),
    "11": (
        "came_on of_day vantage prober measurements longest early",
        [
            (date.fromisoformat(SATURDAY), date.fromisoformat(FRIDAY), "south", "p2", 2, timedelta(hours=30), 0),
            (date.fromisoformat(SATURDAY), date.fromisoformat(SATURDAY), "north", "p3", 1, timedelta(hours=-1), 1),
        ],
    ),
}
"""The columns and rows of each answer, by the question's number. Long answers are computed."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("questions"))


@pytest.fixture
def ask(made: Made, monkeypatch: pytest.MonkeyPatch) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB in the folder of the dataset, with the views of the page and without the network."""
    monkeypatch.chdir(made.folder)
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.execute(VIEWS.text)
        yield connection


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.name)
def test_the_answer_is_right(ask: duckdb.DuckDBPyConnection, made: Made, question: Block) -> None:
    """The query of each question in docs/questions.md finds what was put into the dataset."""
    columns, expected = ANSWERS[question.name.removeprefix(f"{PAGE}: ").partition(".")[0]]
    answer = ask.execute(question.text)
    assert " ".join(column[0] for column in answer.description) == columns
    assert answer.fetchall() == (expected(made) if callable(expected) else expected)


def test_every_question_is_asked() -> None:
    """Each question of the page has an answer here and exactly one block."""
    assert [one.name for one in QUESTIONS] == [
        f"{PAGE}: {heading} 1" for heading in re.findall(r"^## (\d.*)$", (ROOT / PAGE).read_text("utf-8"), re.MULTILINE)
    ]
    assert len(QUESTIONS) == len(ANSWERS)
