"""``peyvand structure``, ``peyvand tabulate`` and ``peyvand rounds``: what stands beside the index, asked of the api."""

from __future__ import annotations

from typing import Annotated

import grpc
import typer

from peyvand.v1 import indicator_pb2
from services.cli.api_client import ATTRIBUTES, Client, client
from services.cli.commands.ask import API, Address, AsJson, Window, console, print_json
from services.cli.render.rounds import bars, rounds_tables
from services.cli.render.structure import structure_tables, tabulation
from services.core.errors import ApiError

__all__ = ["rounds", "structure", "tabulate"]

Attribute = Annotated[str, typer.Argument(metavar="ATTRIBUTE", help=f"One of {', '.join(ATTRIBUTES)}.")]


def structure(*, window: Window = 0, as_json: AsJson = False, api: Address = API) -> None:
    """Show how the agencies hang together: who reaches whom, islands, silos, and what one failure would take."""
    with client(api) as ask:
        answer = ask.structure(window)
        if as_json:
            print_json(answer)
        else:
            console().print(structure_tables(answer.structure, ask.timezone()), bars(answer.three_bars))


def tabulate(attribute: Attribute, *, window: Window = 0, as_json: AsJson = False, api: Address = API) -> None:
    """Show the index by what services or their agencies are like, with how much they must inquire."""
    if attribute.lower() not in ATTRIBUTES:
        raise typer.BadParameter(f"`{attribute}` cannot be tabulated: name one of {', '.join(ATTRIBUTES)}")
    with client(api) as ask:
        answer = ask.tabulate(attribute.lower(), window)
        if as_json:
            print_json(answer)
        else:
            console().print(tabulation(answer, attribute.lower(), ask.timezone()))


def rounds(*, window: Window = 0, as_json: AsJson = False, api: Address = API) -> None:
    """Show the official rounds that the register lists, and the three bars side by side.

    As JSON the bars are `three_bars`, beside the fields of the rounds' answer; before a first index there are none.
    """
    with client(api) as ask:
        answer, three = ask.rounds(), _three_bars(ask, window)
    if as_json:
        print_json(answer, three_bars=three)
        return
    shown_on = console()
    shown_on.print(rounds_tables(answer))
    if three is not None:
        shown_on.print(bars(three))


def _three_bars(ask: Client, window: int) -> indicator_pb2.ThreeBars | None:
    """The three bars; None before a first index: the rounds are in the register, the other two bars come with it."""
    try:
        return ask.structure(window).three_bars
    except ApiError as error:
        if not isinstance(error.__cause__, grpc.Call) or error.__cause__.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return None
