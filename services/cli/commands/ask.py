"""Commands that query the api: ``indicator``, ``explain``, ``history``, ``structure``, ``tabulate`` and ``rounds``."""

from __future__ import annotations

from itertools import chain
from typing import Annotated

import typer

from services.cli.commands.options import API, KINDS, Address, AsJson, EntityId, EntityKind, Window, check_kind

ATTRIBUTES = ("channel", "sector", "staff", "satisfaction", "agency")
"""What the index can be tabulated by: the names of peyvand.v1.TabulatedAttribute."""


def _check_attribute(text: str) -> str:
    if text.lower() not in ATTRIBUTES:
        raise typer.BadParameter(f"`{text}` cannot be tabulated: name one of {', '.join(ATTRIBUTES)}")
    return text.lower()


Attribute = Annotated[
    str, typer.Argument(metavar="ATTRIBUTE", help=f"One of {', '.join(ATTRIBUTES)}.", callback=_check_attribute)
]
_HISTORY_KINDS = [kind for kind in KINDS if kind not in ("link", "endpoint")]
HistoryKind = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        help=f"One of {', '.join(_HISTORY_KINDS)}; links and endpoints have none.",
        show_default=False,
        callback=check_kind,
    ),
]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many providers and links to name.")]
Since = Annotated[str, typer.Option("--from", metavar="TIME", help="Day or time, in the policy's timezone.")]
Until = Annotated[str, typer.Option("--to", metavar="TIME", help="Up to this day or time, exclusive.")]


def indicator(
    kind: EntityKind = "", entity: EntityId = "", *, window: Window = 0, as_json: AsJson = False, api: Address = API
) -> None:
    """Show one indicator, all of a kind, or government and sectors."""
    from services.cli.api_client import open_client
    from services.cli.render.format import new_console, print_message, show
    from services.cli.render.indicators import indicator_details, indicator_table, provenance

    with open_client(api) as client:
        if kind == "government" or (kind and entity):
            message = client.get(kind, entity, window)
            show(message, as_json, lambda: indicator_details(message, client.timezone()))
            return
        government = [] if kind else [client.get("government", "", window)]
        messages = chain(government, client.all_of(kind or "sector", window))
        if as_json:
            for message in messages:
                print_message(message)
            return
        console, rows = new_console(), list(messages)
        title = f"{kind} ({len(rows)})" if kind else "Government and sectors (by consumer)"
        console.print(indicator_table(rows, title))
        if rows:
            console.print(provenance(rows[0], client.timezone()))


def explain(
    kind: EntityKind = "government",
    entity: EntityId = "",
    *,
    window: Window = 0,
    limit: Limit = 10,
    as_json: AsJson = False,
    api: Address = API,
) -> None:
    """Show where an indicator loses, by stage, provider and link.

    Links whose repair would raise it most come first.
    """
    from services.cli.api_client import open_client
    from services.cli.render.format import show
    from services.cli.render.indicators import explanation

    with open_client(api) as client:
        answer = client.explain(kind, entity, window, limit)
        show(answer, as_json, lambda: explanation(answer, client.timezone()))


def history(
    kind: HistoryKind = "government",
    entity: EntityId = "",
    *,
    window: Window = 0,
    since: Since = "",
    until: Until = "",
    as_json: AsJson = False,
    api: Address = API,
) -> None:
    """Show how an indicator changed over the last 400 days.

    It is published hourly, of services daily.
    """
    from services.cli.api_client import open_client
    from services.cli.render.format import new_console, parse_moment, print_message
    from services.cli.render.history import history_chart

    with open_client(api) as client:
        zone = client.timezone()
        start, end = parse_moment(since, zone), parse_moment(until, zone)
        messages = client.history(kind, entity, window, since=start, until=end)
        if as_json:
            for message in messages:
                print_message(message)
            return
        console, rows = new_console(), list(messages)
        console.print(history_chart(rows, zone, console.width) if rows else "nothing was published in that time")


def structure(*, window: Window = 0, as_json: AsJson = False, api: Address = API) -> None:
    """Show which agencies reach each other: islands and silos.

    It shows as well what a failure of one provider, or of the data bus, would cost.
    """
    from services.cli.api_client import open_client
    from services.cli.render.format import show
    from services.cli.render.structure import structure_answer

    with open_client(api) as client:
        answer = client.structure(window)
        show(answer, as_json, lambda: structure_answer(answer, client.timezone()))


def tabulate(attribute: Attribute, *, window: Window = 0, as_json: AsJson = False, api: Address = API) -> None:
    """Show the index by an attribute of services or their agencies."""
    from services.cli.api_client import open_client
    from services.cli.render.format import show
    from services.cli.render.structure import tabulation_table

    with open_client(api) as client:
        answer = client.tabulate(attribute, window)
        show(answer, as_json, lambda: tabulation_table(answer, attribute, client.timezone()))


def rounds(*, window: Window = 0, as_json: AsJson = False, api: Address = API) -> None:
    """Show the official rounds, and the three bars side by side.

    As JSON the bars are `three_bars`, beside the fields of the rounds' answer; before a first index there are none.
    """
    from services.cli.api_client import open_client
    from services.cli.render.format import new_console, print_message
    from services.cli.render.rounds import rounds_answer

    with open_client(api) as client:
        answer, three_bars = client.rounds(), client.three_bars(window)
    if as_json:
        print_message(answer, three_bars=three_bars)
    else:
        new_console().print(rounds_answer(answer, three_bars))
