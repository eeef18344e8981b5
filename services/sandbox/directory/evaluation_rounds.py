"""Makes the official evaluation rounds of the simulated government, with invented figures labelled as such. Pure.

They have the same contents and gaps as real official rounds: the first round has no score.
"""

from __future__ import annotations

from services.sandbox.scenario import Scenario

NOTE = (
    "ارقام دولتی ساختگی برای این محیط آزمایشی (Simulated: figures of a fictional government, made up for this sandbox)"
)
_NEXT_STEP = (
    "آزمایشی: سنجش اتصال خدمات هر دستگاه به دستگاه دیگر "
    "(simulated: measure how far the services of one agency are connected to others)"
)
_CONCERN = (
    "آزمایشی: مدارکی از شهروندان خواسته می‌شود که دستگاه دیگری دارد "
    "(simulated: agencies ask citizens for what another agency already knows)"
)
_TOP_AGENCIES = 3


def make_evaluation_rounds(made: Scenario) -> dict[str, object]:
    """Return the content of evaluation_rounds.yaml; the last round counts the scenario's agencies and services."""
    top = [{"name_en": agency.name_en, "name_fa": agency.name_fa} for agency in made.agencies[:_TOP_AGENCIES]]
    return {
        "country": "XX",
        "note": NOTE,
        "model": [
            {"id": "portal", "name_en": "Portal", "name_fa": "درگاه"},
            {"id": "transactional", "name_en": "Services from start to end", "name_fa": "خدمات سرتاسری"},
            {"id": "integration", "name_en": "Integration of services", "name_fa": "یکپارچگی خدمات"},
        ],
        "rounds": [
            {
                "round": 1,
                "held": "2022-02",
                "agencies": 20,
                "overall_percent": None,
                "sources": _made_up("agencies"),
            },
            {
                "round": 2,
                "held": "2023-05/2023-06",
                "agencies": 22,
                "overall_percent": 51.5,
                "dimension_percent": {"portal": 70.0, "transactional": 52.5, "integration": 38.0},
                "sources": _made_up("agencies", "overall_percent", "dimension_percent"),
            },
            {
                "round": 3,
                "held": "2024-11",
                "agencies": len(made.agencies),
                "services_and_subservices": len(made.services),
                "overall_percent": 60.4,
                "growth_since_round_1_percent_more_than": 30,
                "dimension_percent": {"portal": 81.0, "transactional": 61.2, "integration": 47.5},
                "announced_top_agencies": top,
                "stated_next_step": _NEXT_STEP,
                "stated_concerns": [_CONCERN],
                "sources": _made_up(
                    *("agencies", "services_and_subservices", "overall_percent", "dimension_percent"),
                    "growth_since_round_1_percent_more_than",
                ),
            },
        ],
    }


def _made_up(*fields: str) -> dict[str, list[str]]:
    return {field: ["ساختهٔ این محیط آزمایشی (made up by the sandbox)"] for field in fields}
