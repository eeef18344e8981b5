"""Declares ``peyvand structure``, ``tabulate`` and ``rounds``, which query the api about the whole government."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.commands.options import API, Address, AsJson, Window

ATTRIBUTES = ("channel", "sector", "staff", "satisfaction", "agency")
"""Attributes that the index can be tabulated by: the names of peyvand.v1.TabulatedAttribute."""


def _check_attribute(text: str) -> str:
    if text.lower() not in ATTRIBUTES:
        raise typer.BadParameter(f"`{text}` cannot be tabulated: name one of {', '.join(ATTRIBUTES)}")
    return text.lower()


Attribute = Annotated[
    str, typer.Argument(metavar="ATTRIBUTE", help=f"One of {', '.join(ATTRIBUTES)}.", callback=_check_attribute)
]


def structure(*, window: Window = 0, as_json: AsJson = False, api: Address = API) -> None:
    """Show which agencies reach each other: islands and silos.

    It also shows what a failure of one provider, or of the data bus, would cost.
    """
    from services.cli.api_query import show_answer
    from services.cli.render.structure import structure_answer

    show_answer(api, lambda client: client.structure(window), structure_answer, as_json=as_json)


def tabulate(attribute: Attribute, *, window: Window = 0, as_json: AsJson = False, api: Address = API) -> None:
    """Show the index by an attribute of services or their agencies."""
    from peyvand.v1.indicator_service_pb2 import TabulatedAttribute
    from services.cli.api_query import show_answer
    from services.cli.render.structure import tabulation_table

    number = TabulatedAttribute.Value(f"TABULATED_ATTRIBUTE_{attribute.upper()}")
    show_answer(
        api,
        lambda client: client.tabulate(number, window),
        lambda answer, zone, _: tabulation_table(answer, attribute, zone),
        as_json=as_json,
    )


def rounds(*, window: Window = 0, as_json: AsJson = False, api: Address = API) -> None:
    """Show the official rounds, and the three bars side by side.

    With --json, the bars are in the field `three_bars`, which is absent before the first index.
    """
    from peyvand.v1.indicator_pb2 import ThreeBars
    from peyvand.v1.register_service_pb2 import ListEvaluationRoundsResponse
    from services.cli.api_query import query
    from services.cli.render.format import new_console, print_message
    from services.cli.render.rounds import rounds_answer
    from services.client import Client
    from services.core.errors import ApiUnavailableError

    async def answers(client: Client) -> tuple[ListEvaluationRoundsResponse, ThreeBars | None]:
        answer = await client.rounds()
        try:
            return answer, (await client.structure(window)).three_bars
        except ApiUnavailableError:
            return answer, None

    answer, bars = query(api, answers)
    if as_json:
        print_message(answer, three_bars=bars)
    else:
        new_console().print(rounds_answer(answer, bars))
