"""``peyvand indicator``, ``peyvand explain`` and ``peyvand history``: ask the api."""

from __future__ import annotations

import json
from datetime import datetime, tzinfo
from typing import Annotated, Any

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console

from services.cli.api_client import client
from services.cli.render.history import history as history_picture
from services.cli.render.indicators import explanation, indicator_table, one_indicator, provenance
from services.core.model import IndicatorKind

__all__ = ["API", "Address", "AsJson", "Window", "console", "explain", "history", "indicator", "print_json"]

_KINDS = ", ".join(kind.label for kind in IndicatorKind)
_WITH_HISTORY = ", ".join(
    kind.label for kind in IndicatorKind if kind not in (IndicatorKind.LINK, IndicatorKind.ENDPOINT)
)

KindArgument = Annotated[str, typer.Argument(metavar="KIND", help=f"One of {_KINDS}.", show_default=False)]
HistoryKind = Annotated[
    str,
    typer.Argument(metavar="KIND", help=f"One of {_WITH_HISTORY}; links and endpoints have none.", show_default=False),
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Of what; government needs none.", show_default=False)]
Window = Annotated[int, typer.Option(min=0, help="Days; 0 is the policy's default window.")]
AsJson = Annotated[bool, typer.Option("--json", help="One protobuf JSON object a line.")]
Address = Annotated[
    str, typer.Option("--api", metavar="HOST:PORT", help="The api to ask; tls://HOST:PORT where it encrypts.")
]
Since = Annotated[str, typer.Option("--from", metavar="TIME", help="Day or time, in the policy's timezone.")]
Until = Annotated[str, typer.Option("--to", metavar="TIME", help="Up to this day or time, exclusive.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many providers and links to name.")]

API = "127.0.0.1:7410"


def indicator(
    kind: KindArgument = "",
    entity: IdArgument = "",
    *,
    window: Window = 0,
    as_json: AsJson = False,
    api: Address = API,
) -> None:
    """Show one indicator, all of a kind, or the government and its sectors."""
    asked = _kind(kind) if kind else None
    with client(api) as ask:
        if asked is not None and (entity or asked is IndicatorKind.GOVERNMENT):
            one = ask.get(asked, entity, window)
            if as_json:
                print_json(one)
            else:
                console().print(one_indicator(one, ask.timezone()))
            return
        shown = [ask.get(IndicatorKind.GOVERNMENT, "", window)] if asked is None else []
        listed = ask.all_of(asked or IndicatorKind.SECTOR, window)
        if as_json:
            for one in (*shown, *listed):
                print_json(one)
            return
        rows = [*shown, *listed]
        title = "Government and sectors (by consumer)" if asked is None else f"{asked.label} ({len(rows)})"
        shown_on = console()
        shown_on.print(indicator_table(rows, title))
        if rows:
            shown_on.print(provenance(rows[0], ask.timezone()))


def explain(
    kind: KindArgument = IndicatorKind.GOVERNMENT.label,
    entity: IdArgument = "",
    *,
    window: Window = 0,
    limit: Limit = 10,
    as_json: AsJson = False,
    api: Address = API,
) -> None:
    """Show why an indicator is what it is: losses by stage and provider, and the links whose repair would raise it most."""
    with client(api) as ask:
        answer = ask.explain(_kind(kind), entity, window, limit)
        if as_json:
            print_json(answer)
        else:
            console().print(explanation(answer, ask.timezone()))


def history(
    kind: HistoryKind = IndicatorKind.GOVERNMENT.label,
    entity: IdArgument = "",
    *,
    window: Window = 0,
    since: Since = "",
    until: Until = "",
    as_json: AsJson = False,
    api: Address = API,
) -> None:
    """Show how an indicator went: what was published hourly (services: daily) in the last 400 days."""
    with client(api) as ask:
        zone = ask.timezone()
        span = {"since": _moment(since, zone), "until": _moment(until, zone)}
        found = ask.history(_kind(kind), entity, window, **span)
        if as_json:
            for one in found:
                print_json(one)
            return
        shown_on, rows = console(), list(found)
        if rows:
            shown_on.print(history_picture(rows, zone, shown_on.width))
        else:
            shown_on.print("nothing was published in that time")


def _moment(text: str, zone: tzinfo) -> float | None:
    """A day or a time in ISO 8601 as epoch seconds, in the policy's timezone unless it names another."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"`{text}` is neither a day (2026-03-21) nor a time (2026-03-21T08:00)") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def _kind(text: str) -> IndicatorKind:
    try:
        return IndicatorKind[text.upper()]
    except KeyError as error:
        raise typer.BadParameter(f"`{text}` is no kind: name one of {_KINDS}") from error


def console() -> Console:
    """Return what a person's tables are printed on."""
    return Console(highlight=False)


def print_json(message: Message, **beside: Message | None) -> None:
    """Print a message as one line of JSON, its fields named as in the contract.

    ``beside`` are fields of other answers; those that are None are left out.
    """
    fields = _fields(message) | {name: _fields(other) for name, other in beside.items() if other is not None}
    typer.echo(json.dumps(fields, ensure_ascii=False))


def _fields(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
