"""Declares ``peyvand indicator``, ``explain`` and ``history``, which query the api about one entity or all of a kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC
from typing import Annotated

import typer

from services.cli.commands.options import API, KINDS, Address, AsJson, EntityId, EntityKind, Window, check_kind

_HISTORY_KINDS = [kind for kind in KINDS if kind not in ("link", "endpoint")]
HistoryKind = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        help=f"One of {', '.join(_HISTORY_KINDS)}; if the api reads an archive, also link and endpoint, by sealed days.",
        show_default=False,
        callback=check_kind,
    ),
]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many providers and links to list.")]
Since = Annotated[str, typer.Option("--from", metavar="TIME", help="First day or time, in the policy's timezone.")]
Until = Annotated[str, typer.Option("--to", metavar="TIME", help="Day or time at which it ends, exclusive.")]


def indicator(
    kind: EntityKind = "", entity: EntityId = "", *, window: Window = 0, as_json: AsJson = False, api: Address = API
) -> None:
    """Show one indicator, all of a kind, or government and sectors."""
    from peyvand.v1.indicator_pb2 import Indicator
    from services.cli.api_query import names_of, query, show_answer
    from services.cli.render.format import new_console, print_each
    from services.cli.render.indicators import indicator_details, indicator_table, provenance
    from services.client import Client, IndicatorKind

    listed = IndicatorKind[(kind or "sector").upper()]
    if kind == "government" or (kind and entity):
        show_answer(
            api,
            lambda client: client.indicator(listed, entity, window),
            lambda answer, zone, _: indicator_details(answer, zone),
            as_json=as_json,
            named=(listed, entity),
        )
        return

    async def indicators(client: Client) -> AsyncIterator[Indicator]:
        if not kind:
            yield await client.indicator(IndicatorKind.GOVERNMENT, window_days=window)
        async for message in client.indicators(listed, window_days=window):
            yield message

    async def work(client: Client) -> None:
        messages = indicators(client)
        if as_json:
            await print_each(messages)
            return
        console, rows = new_console(), [message async for message in messages]
        title = f"{kind} ({len(rows)})" if kind else "Government and sectors (by consumer)"
        console.print(indicator_table(rows, title, await names_of(client, listed), console.width))
        if rows:
            console.print(provenance(rows[0], await client.timezone()))

    query(api, work)


def explain(
    kind: EntityKind = "government",
    entity: EntityId = "",
    *,
    window: Window = 0,
    limit: Limit = 10,
    as_json: AsJson = False,
    api: Address = API,
) -> None:
    """Show where inquiries are lost, by stage, provider and link.

    Links whose repair would raise the index most come first. For a link, its evidence and the findings about its
    exchanges are shown, and for links, endpoints and agencies the work that was announced.
    """
    from peyvand.v1.finding_pb2 import Finding
    from peyvand.v1.indicator_service_pb2 import ExplainIndicatorResponse
    from peyvand.v1.register_pb2 import Maintenance
    from services.cli.api_query import show_answer
    from services.cli.render.indicators import explanation
    from services.client import Client, IndicatorKind

    about, found, work = IndicatorKind[kind.upper()], list[Finding](), list[Maintenance]()
    own = about in (IndicatorKind.ENDPOINT, IndicatorKind.CONSUMER, IndicatorKind.PROVIDER)

    async def call(client: Client) -> ExplainIndicatorResponse:
        answer = await client.explain(about, entity, window, limit=limit)
        if as_json:
            return answer
        subjects = [entity] if own else []
        if about is IndicatorKind.LINK:
            async for page in client.findings(link=entity):
                found.extend(page.findings)
            link = (await client.link(entity, window)).link.link
            subjects = [link.id, link.consumer, link.provider]
        for subject in subjects:
            work.extend([one async for one in client.maintenance(subject)])
        return answer

    show_answer(
        api,
        call,
        lambda answer, zone, names: explanation(answer, zone, names, found, work),
        as_json=as_json,
        named=(about, entity),
    )


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

    Indicators are published hourly, and those of services daily.
    """
    from services.cli.api_query import query
    from services.cli.render.format import new_console, parse_moment, print_each
    from services.cli.render.history import history_chart
    from services.client import Client, IndicatorKind

    about = IndicatorKind[kind.upper()]
    for text in (since, until):
        parse_moment(text, UTC)  # a wrong one is refused before the api is asked, which alone knows the timezone

    async def show_history(client: Client) -> None:
        zone = await client.timezone()
        start, end = parse_moment(since, zone), parse_moment(until, zone)
        messages = client.history(about, entity, window, since=start, until=end)
        if as_json:
            await print_each(messages)
            return
        console, rows = new_console(), [message async for message in messages]
        console.print(history_chart(rows, zone, console.width) if rows else "nothing was published in that time")

    query(api, show_history, (about, entity))
