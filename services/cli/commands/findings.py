"""``peyvand findings``: what of the exchanges is not as it should be, as the api knows it."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.commands.options import API, Address, AsJson, check_choice

KINDS = ("silence", "fall", "rise", "bus_failures", "provider_failures", "slow", "size", "repeats")
"""Labels of FindingKind, whose own module imports more."""

LANGUAGES = ("en", "fa")


def findings(
    *,
    kind: Annotated[str, typer.Option(help=f"Only of one kind: {', '.join(KINDS)}.", show_default=False)] = "",
    agency: Annotated[str, typer.Option(help="Only those that touch this agency.", show_default=False)] = "",
    link: Annotated[str, typer.Option(help="Only those that touch this link.", show_default=False)] = "",
    ended: Annotated[bool, typer.Option("--ended", help="Those that are over as well.")] = False,
    language: Annotated[str, typer.Option("--language", help="Of the sentences: en or fa.")] = "en",
    as_json: AsJson = False,
    api: Address = API,
) -> None:
    """Show which exchanges stopped, fell, rose or fail more than expected, since when, and how likely that is by luck."""
    check_choice("--kind", kind, ("", *KINDS))
    check_choice("--language", language, LANGUAGES)

    from peyvand.v1.finding_pb2 import FindingKind
    from peyvand.v1.indicator_service_pb2 import ListFindingsResponse
    from services.cli.api_query import query
    from services.cli.render.findings import findings_view
    from services.cli.render.format import new_console, print_message
    from services.client import Client

    number = FindingKind.Value(f"FINDING_KIND_{kind.upper() or 'UNSPECIFIED'}")

    async def work(client: Client) -> None:
        whole = ListFindingsResponse()
        async for page in client.findings(number, agency=agency, link=link, ended=ended):
            if as_json:
                for finding in page.findings:
                    print_message(finding)
            page.ClearField("next_page_token")
            whole.MergeFrom(page)
        if not as_json:
            new_console().print(findings_view(whole, await client.timezone(), language))

    query(api, work)
