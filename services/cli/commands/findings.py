"""Declares ``peyvand findings``, which shows what is unusual in exchanges, from the api, or in counts from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.options import API, Address, AsJson, check_choice
from services.core.errors import SettingsError

KINDS = ("silence", "fall", "rise", "bus_failures", "provider_failures", "slow", "size", "repeats")
"""Labels of FindingKind, whose own module imports more."""

LANGUAGES = ("en", "fa")


def findings(
    counts: Annotated[
        Path | None,
        typer.Argument(
            help="CSV with the columns time, stream, count, and optionally failed and expected_zero (true or false). "
            "Without it, query the api.",
            show_default=False,
            metavar="[COUNTS.csv]",
        ),
    ] = None,
    *,
    step: Annotated[str, typer.Option(help="With COUNTS.csv: time that each count covers.", metavar="1h|5m|1d")] = "1h",
    timezone: Annotated[str, typer.Option(help="With COUNTS.csv: timezone of days and weeks.", metavar="ZONE")] = "UTC",
    budget: Annotated[
        float, typer.Option(min=0.001, help="With COUNTS.csv: allowed false findings a week.", metavar="NUMBER")
    ] = 1.0,
    kind: Annotated[
        str, typer.Option(help=f"Only findings of this kind: {', '.join(KINDS)}.", show_default=False)
    ] = "",
    agency: Annotated[str, typer.Option(help="Only findings that affect this agency.", show_default=False)] = "",
    link: Annotated[str, typer.Option(help="Only findings that affect this link.", show_default=False)] = "",
    ended: Annotated[bool, typer.Option("--ended", help="Also findings that have ended.")] = False,
    language: Annotated[str, typer.Option("--language", help="Language of the sentences: en or fa.")] = "en",
    as_json: AsJson = False,
    api: Address = API,
) -> None:
    """Show unusual changes in exchanges, or in counts of a file.

    A finding says what changed, since when, and how likely that is by chance: exchanges stop, fall or rise, fail or are
    repeated more often, become slow, or change in size.

    With COUNTS.csv, the counts of the file are examined, without the api. It holds at least four weeks of counts, of one
    stream or many. A file with any fault is refused whole. A step without rows counts as not recorded. If a step has rows
    of other streams only, the count of a stream is 0 in it.
    """
    if counts is not None:
        if kind or agency or link or ended or language != "en":
            raise SettingsError(
                "--kind, --agency, --link, --ended and --language cannot be used with COUNTS.csv: they choose findings of the api"
            )

        from services.cli.offline_findings import print_findings

        print_findings(counts, step=step, timezone=timezone, budget=budget, as_json=as_json)
        return
    if (step, timezone, budget) != ("1h", "UTC", 1.0):
        raise SettingsError("--step, --timezone and --budget need the file COUNTS.csv")
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
