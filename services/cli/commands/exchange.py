"""Declares ``peyvand exchange``, which pairs and summarises logs offline, or shows what the api knows of exchanges."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.options import API, LONGEST_WINDOW, Address, Window
from services.core.errors import SettingsError


def exchange(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Logs: NDJSON, CSV, a JSON array or a raw multipart answer, each plain or gzipped. Without any, query the api.",
            show_default=False,
        ),
    ] = None,
    *,
    register: Annotated[Path | None, typer.Option(help="Register directory, to name agencies and links.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: one ExchangeSummary per line, or the answers of the api.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Report lines that cannot be read, and continue.")
    ] = False,
    span_days: Annotated[
        float, typer.Option(min=0, max=LONGEST_WINDOW, help="Days within which the two sides of an exchange pair.")
    ] = 10,
    columns: Annotated[
        str, typer.Option(metavar="NAME,…", help="Names of the columns of CSV or TSV files without a header.")
    ] = "",
    window: Window = 0,
    api: Address = API,
) -> None:
    """Summarise exchange logs of the data bus, or query the api.

    A log with a line that cannot be read is refused whole. Without FILES, the command shows what the buses carried, which
    exchanges are undeclared, which links are silent, disagree with their probes or are unusual, and the findings that
    go on.
    """
    if files:
        if window:
            raise SettingsError("--window cannot be used with FILES: it chooses figures of the api")
        _summarise(files, register, columns, as_json=as_json, skip_bad=skip_bad, span_days=span_days)
    else:
        if register or skip_bad or columns or span_days != 10:
            raise SettingsError("--register, --skip-bad, --span-days and --columns need FILES")
        _ask_api(window, api, as_json=as_json)


def _summarise(
    files: list[Path], register: Path | None, columns: str, *, as_json: bool, skip_bad: bool, span_days: float
) -> None:
    from services.cli.render.exchange import exchange_table, exchange_totals
    from services.cli.render.format import name_of, new_console
    from services.collector.offline import digest_logs
    from services.collector.records import RowError, column_names
    from services.core.codec import summary_to_json
    from services.register.attribution import Attributor
    from services.register.directory import load_register

    try:
        headings = column_names(columns.split(",")) if columns else ()
    except RowError as error:
        raise SettingsError(f"--columns {columns}: {error}") from error
    held = load_register(register) if register else None
    slot_seconds = held.policy.slot_seconds if held else 300
    span_ms = round(span_days * 86_400_000)
    digesting = digest_logs(files, slot_seconds, span_ms=span_ms, skip_bad=skip_bad, columns=headings)
    with _signals_as_exits(), digesting as digest:
        for fault in digest.faults:
            typer.echo(str(fault), err=True)
        summaries = map(Attributor(held).attribute_summary, digest.summaries)
        if as_json:
            for summary in summaries:
                typer.echo(summary_to_json(summary))
        else:
            console = new_console()
            agencies = {agency.id: name_of(agency) for agency in held.agencies.values()} if held else {}
            console.print(exchange_table(summaries, agencies))
            console.print(exchange_totals(digest))


@contextmanager
def _signals_as_exits() -> Iterator[None]:
    """Have SIGTERM and SIGHUP raise SystemExit, as Ctrl-C raises KeyboardInterrupt, so that temporary files are removed."""
    # A signal that is ignored, as under nohup, stays so.
    caught = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL]

    def end(number: int, _frame: object) -> None:
        for one in caught:
            signal.signal(one, signal.SIG_IGN)
        sys.exit(128 + number)

    for one in caught:
        signal.signal(one, end)
    try:
        yield
    finally:
        for one in caught:
            signal.signal(one, signal.SIG_DFL)


def _ask_api(window: int, api: str, *, as_json: bool) -> None:
    from peyvand.v1.indicator_service_pb2 import LinkFinding, LinkStatus
    from services.cli.api_query import names_of, query
    from services.cli.render.findings import finding_lines
    from services.cli.render.format import new_console, print_message
    from services.cli.render.traffic import traffic_tables
    from services.client import Client, IndicatorKind

    async def work(client: Client) -> None:
        answer = await client.traffic(window)
        links: dict[str, LinkStatus] = {}  # each once, by finding and then in id order
        for finding in filter(None, LinkFinding.values()):
            async for status in client.links(finding=finding, window_days=window):
                links.setdefault(status.link.id, status)
        if as_json:
            for message in (answer, *links.values()):
                print_message(message)
        else:
            names = await names_of(client, IndicatorKind.PROVIDER)
            console = new_console()
            console.print(traffic_tables(answer.traffic, list(links.values()), names, await client.timezone()))
            if answer.findings:
                console.print("What the exchanges show:", *finding_lines(answer.findings), sep="\n")

    query(api, work)
